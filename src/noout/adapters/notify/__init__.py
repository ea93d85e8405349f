"""The ways in which released messages leave: mail, calendars, feeds."""
