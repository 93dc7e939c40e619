"""Published tables of many models: readers, their faults, and one tidy table of all."""
