"""What people and CI services read: sentences and tables about an audit, the HTML page, JUnit XML, Markdown.

The terminal takes its sentences and tables from here too (`words`, `tables`), so that both say the same.
"""
