-- One row per proof, never personal, never erased. The sort key holds everything that tells two proofs
-- apart, so that a batch sent twice collapses; read with FINAL, or through the view consents. (edge, generation, seq)
-- is the place in the log of an edge and never names two proofs; logical orders proofs an edge dated alike. The log is
-- read by seq, which the sort key holds last: within a granule they lie close together.
-- wording is the lower hex hash and decisions the canonical JSON of the proof: both repeat so much that
-- LowCardinality stores a byte for them, and nobody has to decode anything.
CREATE TABLE IF NOT EXISTS consent_facts
(
    site        LowCardinality(String)  CODEC(ZSTD(1)),
    recorded_at DateTime64(3, 'UTC')    CODEC(Delta, ZSTD(1)),
    logical     UInt32                  CODEC(ZSTD(1)),
    edge        LowCardinality(String)  CODEC(ZSTD(1)),
    generation  UInt32                  CODEC(ZSTD(1)),
    seq         UInt64                  CODEC(Delta, ZSTD(1)),
    id          UUID                    CODEC(ZSTD(1)),
    surface     LowCardinality(String)  CODEC(ZSTD(1)),
    method      LowCardinality(String)  CODEC(ZSTD(1)),
    locale      LowCardinality(String)  CODEC(ZSTD(1)),
    country     LowCardinality(String)  CODEC(ZSTD(1)),
    device      LowCardinality(String)  CODEC(ZSTD(1)),
    wording     LowCardinality(String)  CODEC(ZSTD(1)),
    decisions   LowCardinality(String)  CODEC(ZSTD(1)),
    grade       Enum8('none' = 0, 'asserted' = 1, 'imported' = 2, 'proven' = 3, 'verified' = 4) CODEC(ZSTD(1)),
    prompt      UUID                    CODEC(ZSTD(1)),
    follows     UUID                    CODEC(ZSTD(1)),
    commitment  FixedString(32)         CODEC(NONE),
    INDEX id_bloom id TYPE bloom_filter(0.02) GRANULARITY 1,
    INDEX seq_range seq TYPE minmax GRANULARITY 1
)
ENGINE = ReplacingMergeTree
PARTITION BY toYYYYMM(recorded_at)
ORDER BY (site, recorded_at, edge, generation, seq);

-- The part that names or traces a person, by subject, so that a history is one range and an erasure one
-- predicate. ip '::' means that none is kept; IPv4 addresses are mapped (::ffff:a.b.c.d).
-- identifier is sealed; salt opens the commitment of the facts. device is the subject key of the device a form
-- was sent from, all zero when none is linked.
CREATE TABLE IF NOT EXISTS consent_personal
(
    site         LowCardinality(String) CODEC(ZSTD(1)),
    subject      FixedString(16)        CODEC(NONE),
    recorded_at  DateTime64(3, 'UTC')   CODEC(T64, ZSTD(1)),
    edge         LowCardinality(String) CODEC(ZSTD(1)),
    generation   UInt32                 CODEC(ZSTD(1)),
    seq          UInt64                 CODEC(T64, ZSTD(1)),
    subject_kind LowCardinality(String) CODEC(ZSTD(1)),
    device       FixedString(16)        CODEC(ZSTD(1)),
    ip           IPv6                   CODEC(ZSTD(1)),
    user_agent   LowCardinality(String) CODEC(ZSTD(1)),
    page         LowCardinality(String) CODEC(ZSTD(1)),
    identifier   String                 CODEC(ZSTD(1)),
    salt         FixedString(16)        CODEC(NONE),
    INDEX seq_bloom seq TYPE bloom_filter(0.02) GRANULARITY 1
)
ENGINE = ReplacingMergeTree
PARTITION BY toYYYYMM(recorded_at)
ORDER BY (site, subject, recorded_at, edge, generation, seq);
