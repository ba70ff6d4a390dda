"""What a person reads: the words and numbers of an audit, and the HTML page.

`words` says findings in sentences, for the terminal and the page alike; `html` draws the page.
"""
