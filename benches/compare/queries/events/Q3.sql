SELECT e.id, e.title, e.bytes, u.name FROM events e JOIN users u ON e."userId" = u.id
