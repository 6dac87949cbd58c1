CREATE INDEX event_language ON events (language, bytes);
CREATE INDEX event_user ON events ("userId");
CREATE INDEX event_time ON events (timestamp DESC, id);
