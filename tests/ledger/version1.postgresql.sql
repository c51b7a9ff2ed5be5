CREATE TABLE guestlist (
	version INTEGER NOT NULL
);

CREATE TABLE runs (
	id BIGSERIAL NOT NULL,
	began DOUBLE PRECISION NOT NULL,
	ended DOUBLE PRECISION,
	roster TEXT NOT NULL,
	source TEXT NOT NULL,
	PRIMARY KEY (id)
);

CREATE TABLE paces (
	name TEXT NOT NULL,
	state TEXT NOT NULL,
	PRIMARY KEY (name)
);

CREATE TABLE orders (
	id BIGSERIAL NOT NULL,
	run BIGINT,
	account TEXT NOT NULL,
	key TEXT NOT NULL,
	email TEXT NOT NULL,
	action TEXT NOT NULL,
	place SMALLINT NOT NULL,
	role TEXT,
	facts TEXT NOT NULL,
	state SMALLINT NOT NULL,
	asked DOUBLE PRECISION NOT NULL,
	intended DOUBLE PRECISION,
	doubted DOUBLE PRECISION,
	settled DOUBLE PRECISION,
	attempts SMALLINT NOT NULL,
	outcome TEXT,
	mail BOOLEAN,
	detail TEXT,
	PRIMARY KEY (id),
	FOREIGN KEY(run) REFERENCES runs (id)
);

CREATE INDEX orders_person ON orders (key, settled);

CREATE INDEX orders_run ON orders (run);

CREATE INDEX orders_open ON orders (run, account, state, place, id) WHERE state < 3;

CREATE UNIQUE INDEX orders_owed ON orders (account, key, role) WHERE state = 2;

CREATE TABLE halts (
	run BIGINT NOT NULL,
	account TEXT NOT NULL,
	at DOUBLE PRECISION NOT NULL,
	why TEXT NOT NULL,
	PRIMARY KEY (run, account),
	FOREIGN KEY(run) REFERENCES runs (id) ON DELETE CASCADE
);

CREATE TABLE entries (
	id BIGSERIAL NOT NULL,
	"order" BIGINT NOT NULL,
	at DOUBLE PRECISION NOT NULL,
	what TEXT NOT NULL,
	detail TEXT,
	PRIMARY KEY (id),
	FOREIGN KEY("order") REFERENCES orders (id) ON DELETE CASCADE
);

CREATE INDEX ix_entries_order ON entries ("order");
