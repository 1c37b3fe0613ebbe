-- One row per wording and site, whichever edge published it first; asked lists the purposes a proof under
-- it decides on. doc is the canonical JSON whose SHA-256 is hash.
CREATE TABLE IF NOT EXISTS wordings
(
    site         LowCardinality(String),
    hash         String CODEC(ZSTD(1)),
    surface      SimpleAggregateFunction(any, LowCardinality(String)),
    locale       SimpleAggregateFunction(any, LowCardinality(String)),
    asked        SimpleAggregateFunction(any, Array(String)),
    doc          SimpleAggregateFunction(any, String) CODEC(ZSTD(3)),
    published_at SimpleAggregateFunction(min, DateTime64(3, 'UTC'))
)
ENGINE = AggregatingMergeTree
ORDER BY (site, hash);

-- One row per display of a surface.
CREATE TABLE IF NOT EXISTS prompts
(
    site       LowCardinality(String) CODEC(ZSTD(1)),
    shown_at   DateTime64(3, 'UTC')   CODEC(Delta, ZSTD(1)),
    edge       LowCardinality(String) CODEC(ZSTD(1)),
    generation UInt32                 CODEC(ZSTD(1)),
    seq        UInt64                 CODEC(Delta, ZSTD(1)),
    id         UUID                   CODEC(ZSTD(1)),
    surface    LowCardinality(String) CODEC(ZSTD(1)),
    locale     LowCardinality(String) CODEC(ZSTD(1)),
    country    LowCardinality(String) CODEC(ZSTD(1)),
    device     LowCardinality(String) CODEC(ZSTD(1)),
    wording    LowCardinality(String) CODEC(ZSTD(1)),
    page       LowCardinality(String) CODEC(ZSTD(1))
)
ENGINE = ReplacingMergeTree
PARTITION BY toYYYYMM(shown_at)
ORDER BY (site, shown_at, edge, generation, seq);
