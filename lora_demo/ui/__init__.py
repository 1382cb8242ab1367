"""The page: one file a tab, each reads top to bottom as the tab does on screen. Handlers are thin; the domain does the work."""
