"""The command line: one short file a subcommand, no logic of its own."""
