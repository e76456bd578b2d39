"""The table. Nothing else knows DynamoDB."""
