"""The page that `rtseg.sinks.web` serves: its markup, style and script, and nothing from elsewhere.

Edit the files beside this one; they are read once, when a server starts.
"""
