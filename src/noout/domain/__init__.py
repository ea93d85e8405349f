"""The nouns of the field, frozen, standard library only."""
