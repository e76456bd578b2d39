"""The one table: the only place that knows DynamoDB."""
