CREATE TABLE guestlist (
	version INTEGER NOT NULL
);

CREATE TABLE runs (
	id INTEGER NOT NULL,
	began DOUBLE NOT NULL,
	ended DOUBLE,
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
	id INTEGER NOT NULL PRIMARY KEY AUTOINCREMENT,
	run INTEGER,
	account TEXT NOT NULL,
	"key" TEXT NOT NULL,
	email TEXT NOT NULL,
	action TEXT NOT NULL,
	place SMALLINT NOT NULL,
	role TEXT,
	facts TEXT NOT NULL,
	state SMALLINT NOT NULL,
	asked DOUBLE NOT NULL,
	intended DOUBLE,
	doubted DOUBLE,
	settled DOUBLE,
	attempts SMALLINT NOT NULL,
	outcome TEXT,
	mail BOOLEAN,
	detail TEXT,
	FOREIGN KEY(run) REFERENCES runs (id)
);

CREATE INDEX orders_person ON orders ("key", settled);

CREATE UNIQUE INDEX orders_owed ON orders (account, "key", role) WHERE state = 2;

CREATE INDEX orders_open ON orders (run, account, state, place, id) WHERE state < 3;

CREATE INDEX orders_run ON orders (run);

CREATE TABLE halts (
	run INTEGER NOT NULL,
	account TEXT NOT NULL,
	at DOUBLE NOT NULL,
	why TEXT NOT NULL,
	PRIMARY KEY (run, account),
	FOREIGN KEY(run) REFERENCES runs (id) ON DELETE CASCADE
);

CREATE TABLE entries (
	id INTEGER NOT NULL PRIMARY KEY AUTOINCREMENT,
	"order" INTEGER NOT NULL,
	at DOUBLE NOT NULL,
	what TEXT NOT NULL,
	detail TEXT,
	FOREIGN KEY("order") REFERENCES orders (id) ON DELETE CASCADE
);

CREATE INDEX ix_entries_order ON entries ("order");
