SELECT * FROM events ORDER BY timestamp DESC, id LIMIT 50
