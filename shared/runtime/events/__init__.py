"""Events between planes: an outbox where one speaks, NATS JetStream, and an inbox where they have their effect."""
