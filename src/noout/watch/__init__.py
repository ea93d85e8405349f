"""0 · The fans switch on and off: readings and events -> episodes -> a suspected fault, with its evidence."""
