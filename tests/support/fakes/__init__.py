"""Stand-ins for hardware's libraries: control flow only, and no more API than theirs."""
