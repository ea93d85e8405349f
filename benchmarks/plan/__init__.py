"""How good noout's plans are: the same clusters for it and for others, one validator, one simulator of migrations."""
