"""What people and files give us: text quoted in messages, numbers that are numbers. Pure; every other package may import it."""
