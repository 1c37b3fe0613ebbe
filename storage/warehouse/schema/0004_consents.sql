-- What those read who may see both parts: one row per proof, in words. An erased person's proofs stay,
-- with erased = true and nothing personal. What repeats an id is left out. ANY, and no FINAL of the personal part: its
-- copies are all equal, or all erased.
CREATE VIEW IF NOT EXISTS consents AS
SELECT
    f.site AS site, f.recorded_at AS recorded_at, f.logical AS logical, f.id AS id,
    f.edge AS edge, f.generation AS generation, f.seq AS seq,
    f.surface AS surface, f.method AS method, f.locale AS locale, f.country AS country, f.device AS device,
    f.wording AS wording,
    JSONExtract(f.decisions, 'Map(String, String)') AS decisions,
    f.grade AS grade,
    if(f.prompt = toUUID('00000000-0000-0000-0000-000000000000'), '', toString(f.prompt)) AS prompt,
    if(f.follows = toUUID('00000000-0000-0000-0000-000000000000'), '', toString(f.follows)) AS follows,
    lower(hex(f.commitment)) AS commitment,
    p.kept = 0 AS erased,
    if(erased, '', lower(hex(p.subject))) AS subject,
    p.subject_kind AS subject_kind,
    if(p.device = toFixedString('', 16), '', lower(hex(p.device))) AS linked_device,
    if(p.ip = toIPv6('::'), '', replaceOne(toString(p.ip), '::ffff:', '')) AS ip,
    p.user_agent AS user_agent, p.page AS page,
    lower(hex(p.identifier)) AS identifier,
    if(erased, '', lower(hex(p.salt))) AS salt
FROM
(
    SELECT * FROM consent_facts FINAL
    WHERE (site, recorded_at, edge, generation, seq) NOT IN (SELECT site, recorded_at, edge, generation, seq FROM consent_repeats)
) AS f
LEFT ANY JOIN (SELECT *, 1 AS kept FROM consent_personal) AS p
    ON f.site = p.site AND f.recorded_at = p.recorded_at AND f.edge = p.edge AND f.generation = p.generation AND f.seq = p.seq
SETTINGS do_not_merge_across_partitions_select_final = 1;
