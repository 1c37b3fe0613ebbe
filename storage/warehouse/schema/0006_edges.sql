-- Who may send under the name of an edge: the instance of its ledger, and of all copies of that ledger the one process
-- that runs with session. A name has one holder (holds = 1) but for the generations a ledger was restored through; seen
-- moves on for as long as it runs. See Claim.
CREATE TABLE IF NOT EXISTS edges
(
    edge       String,
    instance   UUID,
    generation UInt32,
    session    UUID,
    holds      UInt8,
    since      DateTime64(3, 'UTC'),
    seen       DateTime64(3, 'UTC'),
    version    UInt64
)
ENGINE = ReplacingMergeTree(version)
ORDER BY (edge, instance, generation);

-- Proofs whose personal part was erased here on demand, whichever edge asked: an edge that holds one still must not send it
-- again. It names a place, not a person.
CREATE TABLE IF NOT EXISTS erasures
(
    edge       LowCardinality(String),
    generation UInt32,
    seq        UInt64,
    erased_at  DateTime64(3, 'UTC')
)
ENGINE = ReplacingMergeTree
ORDER BY (edge, generation, seq);
