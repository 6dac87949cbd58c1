CREATE INDEX item_rank ON items (rank, id);
