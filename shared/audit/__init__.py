"""Who changed what, when and why, in a chain that shows every row that was touched since."""
