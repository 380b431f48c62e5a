-- Schema 3 of a semfn ledger: one SQLite file, PRAGMA application_id 0x53454D46 ("SEMF"),
-- PRAGMA user_version 3, WAL, synchronous FULL. Public: these tables may be read by anyone while
-- or after a run writes them (`sqlite3 -readonly FILE`). Copy the file with `.backup`, not with cp:
-- a part of a live ledger is in FILE-wal. Only the holder of the lock on FILE.lock may write.
--
-- Times are UTC, ISO 8601 with milliseconds: the start of the run as its caller gave it, plus
-- seconds on the monotonic clock; steps of the wall clock do not show. A chunk id or source that is
-- not valid Unicode is stored as BLOB (UTF-8 with surrogates), all other text as TEXT.
-- No chunk text is stored, only a hash of it as a part of `key`.
-- A file of schema 1 or 2 gets what is new when a run opens it; new columns stand last in their
-- tables, so that an old and a new file have the same columns in the same order.

-- One row for each time that a process opened the ledger to work.
CREATE TABLE run (
    run        INTEGER PRIMARY KEY,          -- 1, 2, 3 in order of start
    started_at TEXT NOT NULL,
    ended_at   TEXT,                         -- NULL: the run is going on, was killed, or could not write
    late       INTEGER NOT NULL DEFAULT 0,   -- second labels for a chunk that had one: counted, dropped
    facts      TEXT NOT NULL                 -- JSON object: options, versions, hashes, as the run states them
);

-- One row for each input of a run; since schema 3, before it a column of run.
CREATE TABLE run_input (
    run    INTEGER NOT NULL REFERENCES run (run),
    source TEXT NOT NULL,                    -- name of the input; with the chunk id the identity of a chunk
    PRIMARY KEY (run, source)
) WITHOUT ROWID;

-- One row for each request, written before it is sent.
CREATE TABLE request (
    request_id     TEXT PRIMARY KEY,
    run            INTEGER NOT NULL REFERENCES run (run),
    route          TEXT NOT NULL,
    model          TEXT NOT NULL,            -- as asked for
    reported_model TEXT,                     -- as the service named it; NULL: it did not
    chunks         INTEGER NOT NULL,         -- chunks in its pack
    attempt        INTEGER NOT NULL,         -- from 1
    -- intended: about to be sent, or in flight, in a run that is going on
    -- done:     an answer came, usable or not
    -- refused:  the service said no; nothing was generated
    -- unsent:   it did not reach the service
    -- unknown:  sent, without a clear ending (reply lost, or in flight when the run died); only
    --           such a request can be paid for twice
    state          TEXT NOT NULL
                   CHECK (state IN ('intended', 'done', 'refused', 'unsent', 'unknown')),
    sent_at        TEXT NOT NULL,            -- when the intent was written
    ended_at       TEXT,                     -- when the ending was written, or the death of the run was noticed
    -- error code; 'run_died' where a later run found it in flight; 'given_up' where another request
    -- with the same chunks was answered first
    code           TEXT NOT NULL DEFAULT '',
    input_tokens   INTEGER NOT NULL DEFAULT 0,
    cached_tokens  INTEGER NOT NULL DEFAULT 0, -- a part of input_tokens
    output_tokens  INTEGER NOT NULL DEFAULT 0,
    -- since schema 2; 0 for requests recorded before
    written_tokens INTEGER NOT NULL DEFAULT 0, -- a part of input_tokens: written to the prompt cache
    reasoning_tokens INTEGER NOT NULL DEFAULT 0, -- a part of output_tokens
    -- since schema 3; NULL for requests recorded before; times the price they are what an unknown
    -- request cost at most
    estimated_tokens INTEGER,                -- input, as estimated before it was sent
    max_output_tokens INTEGER                -- cap of the output
) WITHOUT ROWID;

-- One row for each chunk in each form in which it was asked; the newest verdict, a label if there is one.
-- A label is never replaced. A failure is replaced by a label or a newer failure.
CREATE TABLE verdict (
    source        TEXT NOT NULL,             -- as in run_input
    id            TEXT NOT NULL,             -- chunk id of the input
    key           BLOB NOT NULL,             -- 16 to 32 bytes: hash of text, topic, label set, prompt, routes, host
    retired       INTEGER NOT NULL DEFAULT 0,-- 0: in force; else the run that asked afresh (--fresh)
    labels        TEXT,                      -- JSON list of one or two label keys, primary first; NULL: failed
    confidence    REAL,                      -- NULL: the route gave none
    route         TEXT,
    model         TEXT,                      -- as the service named it
    attempts      INTEGER NOT NULL,          -- requests in which the chunk was sent
    pack          INTEGER NOT NULL,          -- chunks in the request that answered
    latency_s     REAL,
    input_tokens  INTEGER NOT NULL,          -- its share of the request's; sums are to be taken from request
    cached_tokens INTEGER NOT NULL,
    output_tokens INTEGER NOT NULL,
    error_kind    TEXT,                      -- NULL: labeled
    error_message TEXT,
    request_id    TEXT,                      -- the request that settled it; NULL: none did
    written_tokens INTEGER NOT NULL DEFAULT 0, -- since schema 2, as in request
    reasoning_tokens INTEGER NOT NULL DEFAULT 0,
    -- since schema 3
    reused_from   TEXT,                      -- NULL: the chunk was asked; 'same text': verdict of another row of this
                                             -- ledger with the same text; else name and run of another ledger
    run           INTEGER NOT NULL DEFAULT 0,-- the run that recorded the verdict; 0: unknown, from an older schema
    number        INTEGER NOT NULL DEFAULT 0,-- order in which the rows were first recorded, also across runs; 0: before
                                             -- schema 3
    PRIMARY KEY (source, id, key, retired),
    CHECK ((labels IS NULL) <> (error_kind IS NULL))
) WITHOUT ROWID;
