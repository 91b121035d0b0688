"""The page that `rtseg.sinks.web` serves: its markup, style and script. It loads nothing else.

Edit the files beside this one; they are read once, when a server starts.
"""
