SELECT * FROM items ORDER BY rank, id
