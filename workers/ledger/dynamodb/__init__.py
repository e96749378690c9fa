"""The ledger of a fleet, in one DynamoDB table."""
