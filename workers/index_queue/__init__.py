"""The index queue: messages, SQS's calls, and what gathers them into batches."""
