"""Keys and what is sealed with them: delivery, commitment, containers, words, logs, receipts."""
