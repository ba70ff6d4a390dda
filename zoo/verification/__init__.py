"""Are these the right files, do they fit together, and do the converted forms compute the same?"""
