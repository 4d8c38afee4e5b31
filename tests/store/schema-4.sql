-- A store as schema 4 wrote it: trials of every state, what one cost in time and memory, and an imported row. Never edited; a new schema gets a new file.
PRAGMA journal_mode = WAL;
BEGIN TRANSACTION;
CREATE TABLE medtransfer_schema (
    version INTEGER NOT NULL,
    PRIMARY KEY (version)
);
INSERT INTO "medtransfer_schema" VALUES(4);
CREATE TABLE studies (
    name TEXT NOT NULL,
    created DOUBLE NOT NULL,
    source TEXT NOT NULL,
    "plan" TEXT NOT NULL,
    PRIMARY KEY (name)
);
INSERT INTO "studies" VALUES('first',1767323045.25,'"name: first\n"','{}');
CREATE TABLE study_trials (
    study TEXT NOT NULL,
    position INTEGER NOT NULL,
    fingerprint TEXT NOT NULL,
    PRIMARY KEY (study, position),
    UNIQUE (study, fingerprint),
    FOREIGN KEY(study) REFERENCES studies (name),
    FOREIGN KEY(fingerprint) REFERENCES trials (fingerprint)
);
INSERT INTO "study_trials" VALUES('first',0,'a1b2a1b2a1b2a1b2a1b2a1b2a1b2a1b2a1b2a1b2a1b2a1b2a1b2a1b2a1b2a1b2');
INSERT INTO "study_trials" VALUES('first',1,'c3d4c3d4c3d4c3d4c3d4c3d4c3d4c3d4c3d4c3d4c3d4c3d4c3d4c3d4c3d4c3d4');
INSERT INTO "study_trials" VALUES('first',2,'e5f6e5f6e5f6e5f6e5f6e5f6e5f6e5f6e5f6e5f6e5f6e5f6e5f6e5f6e5f6e5f6');
CREATE TABLE trials (
    fingerprint TEXT NOT NULL,
    state TEXT NOT NULL,
    epoch INTEGER NOT NULL,
    attempts INTEGER NOT NULL,
    lease_until DOUBLE,
    finished_at DOUBLE,
    owner TEXT,
    reason TEXT,
    label_fraction DOUBLE NOT NULL,
    repetition INTEGER NOT NULL,
    task TEXT NOT NULL,
    model TEXT NOT NULL,
    protocol TEXT NOT NULL,
    predictions_file TEXT,
    predictions_sha256 TEXT,
    message TEXT,
    traceback TEXT,
    description TEXT NOT NULL,
    outcome TEXT,
    PRIMARY KEY (fingerprint),
    CONSTRAINT known_state CHECK (state in ('pending', 'running', 'done', 'failed')),
    CONSTRAINT running_has_lease CHECK (state <> 'running' or (owner is not null and lease_until is not null)),
    CONSTRAINT done_is_whole CHECK (state <> 'done' or (outcome is not null and predictions_file is not null))
);
INSERT INTO "trials" VALUES('a1b2a1b2a1b2a1b2a1b2a1b2a1b2a1b2a1b2a1b2a1b2a1b2a1b2a1b2a1b2a1b2','done',1,1,NULL,1767323045.25,'host:1:2',NULL,0.1,0,'breastmnist','resnet18.random','linear','predictions/6609153843e872387e8c239ca14ef07c5689a883d709986e2c1137c20b6c6c61.parquet','6609153843e872387e8c239ca14ef07c5689a883d709986e2c1137c20b6c6c61',NULL,NULL,'{"fingerprint": "a1b2a1b2a1b2a1b2a1b2a1b2a1b2a1b2a1b2a1b2a1b2a1b2a1b2a1b2a1b2a1b2", "task": "breastmnist", "model": "resnet18.random", "protocol": "linear", "settings": {"strengths": [0.1, 1.0]}, "label_fraction": 0.1, "repetition": 0, "varied": ["training"], "facts": {"classes": ["no", "yes"]}}','{"metrics": {"test": {"auc": {"value": 0.75, "note": null, "per_class": {}}}}, "train_cases": 54, "choices": {}, "curve": [], "details": {}, "duration_s": 0.0, "cpu_s": 0.0, "provenance": {}}');
INSERT INTO "trials" VALUES('c3d4c3d4c3d4c3d4c3d4c3d4c3d4c3d4c3d4c3d4c3d4c3d4c3d4c3d4c3d4c3d4','failed',1,1,NULL,1767323045.25,'host:1:2','non_finite_loss',0.1,1,'breastmnist','resnet18.random','linear',NULL,NULL,'"loss at step 3"','"Traceback"','{"fingerprint": "c3d4c3d4c3d4c3d4c3d4c3d4c3d4c3d4c3d4c3d4c3d4c3d4c3d4c3d4c3d4c3d4", "task": "breastmnist", "model": "resnet18.random", "protocol": "linear", "settings": {"strengths": [0.1, 1.0]}, "label_fraction": 0.1, "repetition": 1, "varied": ["training"], "facts": {"classes": ["no", "yes"]}}',NULL);
INSERT INTO "trials" VALUES('e5f6e5f6e5f6e5f6e5f6e5f6e5f6e5f6e5f6e5f6e5f6e5f6e5f6e5f6e5f6e5f6','pending',0,0,NULL,NULL,NULL,NULL,0.1,2,'breastmnist','resnet18.random','linear',NULL,NULL,NULL,NULL,'{"fingerprint": "e5f6e5f6e5f6e5f6e5f6e5f6e5f6e5f6e5f6e5f6e5f6e5f6e5f6e5f6e5f6e5f6", "task": "breastmnist", "model": "resnet18.random", "protocol": "linear", "settings": {"strengths": [0.1, 1.0]}, "label_fraction": 0.1, "repetition": 2, "varied": ["training"], "facts": {"classes": ["no", "yes"]}}',NULL);
CREATE INDEX trials_by_state ON trials (state, lease_until);
CREATE TABLE trial_costs (
    fingerprint TEXT NOT NULL,
    cost_key TEXT NOT NULL,
    label_fraction DOUBLE NOT NULL,
    cpu_s DOUBLE NOT NULL,
    PRIMARY KEY (fingerprint),
    FOREIGN KEY(fingerprint) REFERENCES trials (fingerprint)
);
INSERT INTO "trial_costs" VALUES('a1b2a1b2a1b2a1b2a1b2a1b2a1b2a1b2a1b2a1b2a1b2a1b2a1b2a1b2a1b2a1b2','c9f5db3d29f96d545ad5590afafae3c66f4313c8edc611f64bd6c9a8975a536a',0.1,0.0);
CREATE INDEX trial_costs_by_key ON trial_costs (cost_key, label_fraction, cpu_s);
CREATE TABLE trial_memory (
    fingerprint TEXT NOT NULL,
    cost_key TEXT NOT NULL,
    label_fraction DOUBLE NOT NULL,
    peak_bytes BIGINT NOT NULL,
    PRIMARY KEY (fingerprint),
    CONSTRAINT peak_above_0 CHECK (peak_bytes > 0),
    FOREIGN KEY(fingerprint) REFERENCES trials (fingerprint)
);
INSERT INTO "trial_memory" VALUES('a1b2a1b2a1b2a1b2a1b2a1b2a1b2a1b2a1b2a1b2a1b2a1b2a1b2a1b2a1b2a1b2','c9f5db3d29f96d545ad5590afafae3c66f4313c8edc611f64bd6c9a8975a536a',0.1,812345344);
CREATE INDEX trial_memory_by_key ON trial_memory (cost_key, label_fraction, peak_bytes);
CREATE TABLE imported (
    kind TEXT NOT NULL,
    key_sha256 TEXT NOT NULL,
    revision INTEGER NOT NULL,
    latest INTEGER NOT NULL,
    content_sha256 TEXT NOT NULL,
    imported_at DOUBLE NOT NULL,
    position INTEGER NOT NULL,
    origin TEXT NOT NULL,
    "key" TEXT NOT NULL,
    content TEXT NOT NULL,
    facts TEXT NOT NULL,
    PRIMARY KEY (kind, key_sha256, revision),
    CONSTRAINT known_latest CHECK (latest in (0, 1)),
    CONSTRAINT revisions_from_1 CHECK (revision >= 1)
);
INSERT INTO "imported" VALUES('published-result','9c42b30b37b5b9288e5b26f490a5f334d83be81445ee0f1e02f055aede534f38',1,1,'1ab3efa7df3dbf286dacf99a83c5ab5227b654f68981ab2ba2f4d02e55dce1d2',1767323045.25,0,'"table.csv, line 2"','{"architecture": "ResNet-50", "initialization": "ImageNet", "metric": "AUC%", "source": "somebody2030", "table": "table_1", "task": "DXC14"}','{"exact": true, "mean": 81.7, "n": 5, "note": "", "std": 0.15}','{}');
CREATE INDEX imported_latest ON imported (kind, latest, imported_at, position);
COMMIT;
