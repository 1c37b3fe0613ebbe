// Package evidence turns the logs of an edge into what can be checked without it: signed checkpoints, and evidence
// files that prove one consent to a stranger, offline, years later.
//
// # Guarantee
//
// Nothing is signed under an origin that contradicts what was signed under it before: at start each log is held
// against the checkpoints its anchors remember. A log that is shorter or other than one of them signs nothing; a restored
// ledger is of a new generation, and its logs go on under a new origin that names the old. Every path in a file this package makes has been tried before it is given away. Verify
// needs no network, no store and no trust in the edge beyond its verifier key; it refuses a file of which a single
// byte was changed, and names the part.
//
// # What it does not do
//
// It keeps no entries (the ledger and ClickHouse do) and no personal data. It cannot show that an edge records what
// happened, only that it cannot change what it recorded. An edge whose ledger and near anchors are set back together
// while ClickHouse does not answer signs what it signed before once Patience is over; a checkpoint that somebody
// else noted shows it.
//
// # Files
//
//	key.go         verifier keys, signers, signed notes
//	checkpoint.go  Checkpoint: signed statement about a log
//	anchor.go      Anchor: who remembers the last one; Directory
//	keeper.go      Keeper: seals both logs, notices that one was set back
//	tiles.go       tiles and entry bundles, as C2SP tlog-tiles names them
//	file.go        File: what an evidence file holds
//	make.go        … made
//	verify.go      … checked, step by step
//	byhand.sh      … checked with jq, sha256sum and openssl alone
//
// # Logs
//
// An edge keeps two logs. Both are RFC 6962 trees over SHA-256; a leaf is SHA-256(0x00 ‖ entry), a node
// SHA-256(0x01 ‖ left ‖ right). An entry is canonical JSON (RFC 8785), UTF-8:
//
//   - of the log of proofs, the facts of a proof: {"commitment","country","decisions","device","edge","grade","id",
//     "locale","method","prompt","recorded_at","site","surface","type":"consent","v":1,"wording", …};
//   - of the log of publications: {"about","hash","kind","locale","published_at","site","surface",
//     "type":"publication","v":1}. kind says what hash, a SHA-256 in hex, is of: "wording" (the wording document),
//     "bundle" (a script; about.wordings is the SHA-256 of the list of the hashes of its wordings), "config" (a site
//     file), "snapshot" (a PNG; about says which wording it shows, and how).
//
// A reader passes over members it does not know.
//
// # Keys
//
// A verifier key is written as in C2SP signed-note: name+hash+base64, where base64 is of the byte 0x01 and the 32 bytes
// of the Ed25519 public key, and hash is the first 4 bytes, in hex, of SHA-256(name ‖ "\n" ‖ those 33 bytes). The key of
// an edge is named for it, such as consentd/e1. It also checks what is signed under a name that begins with its own and
// a slash; the hash in such a signature line is computed with that longer name.
//
// # Checkpoints
//
// A checkpoint is a signed note (C2SP tlog-checkpoint) under the log's origin, which is {key name}/proofs or
// {key name}/published, followed by /2, /3 … for later generations of the ledger:
//
//	consentd/e1/proofs
//	41                                              entries
//	4VwK…=                                          root hash, base64
//	time 2026-11-21T20:06:00.412Z                   when it was signed
//	succeeds consentd/e1/proofs 57 Qx0s…=           only under a later origin: the last that was signed before
//
//	— consentd/e1/proofs Az3g…
//
// A signature line is an em dash, the name, and base64 of the 4 bytes of the key's hash and the 64 bytes of the
// signature, which is over the text with its last line feed. Lines by unknown keys are passed over.
//
// # Evidence files
//
// One JSON document in canonical form (RFC 8785), with nothing before or after it:
//
//	{"evidence":{
//	  "format":"consentd-evidence", "v":1, "made_at":"2026-11-21T20:06:00.412Z",
//	  "name":"consentd/e1", "keys":[verifier keys of the edge],
//	  "site":{"id","name","controller":{"name","contact"}},
//	  "subject":hex,                          only when the proofs are all there are of this subject key
//	  "logs":{"proofs":{"checkpoint":note, "since":{"size","root","hashes":[…]}}, "published":{…}},
//	  "proofs":[{"facts":entry, "index":41, "inclusion":[hashes], "erased":false,
//	             "personal":document, "salt":hex, "identifier":text}],
//	  "published":[{"entry":entry, "index":3, "inclusion":[hashes], "doc":document}],
//	  "elsewhere":[{"edge","id"}]             proofs of the subject that other edges recorded
//	}, "signature":signature lines}
//
// Entries, documents and notes are strings that hold exactly the bytes that are hashed or signed. Hashes are base64;
// audit paths run from the leaf up, as in RFC 6962. Absent members are left out.
//
// To verify, in this order, with a verifier key from somewhere else. Each line is a check of a part of the file, as
// Step names them; "passed" is the only good outcome, "skipped" says what could not be checked.
//
//	file                 readable     no unknown members, canonical: encoding its content again gives the same bytes
//	signature            signed       the note text is {name}/evidence, a line feed, SHA-256 in hex of the canonical
//	                                  bytes of evidence, a line feed; signed as {name}/evidence
//	keys[i]              well_formed  a verifier key of name
//	logs.x.checkpoint    signed       a checkpoint, signed under its origin, which is one of the log {name}/x
//	logs.x.since         consistent   hashes prove (RFC 6962 §2.1.2) that the tree of size and root is its beginning
//	published[i].entry   well_formed  canonical JSON of the right type, v and site
//	        .inclusion   in_log       proves (RFC 6962 §2.1.1) that it is leaf number index of the checkpoint's tree
//	        .doc         hashes       a wording: SHA-256 is hash; site, surface and locale agree with the entry.
//	                                  a bundle: SHA-256 is about.wordings
//	proofs[i].facts      well_formed  canonical JSON of the right type, v and site
//	        .inclusion   in_log       as above
//	        .personal    opens        SHA-256(salt ‖ personal) is commitment; erased: neither is there
//	        .identifier  known        never more than the server's word
//	        .wording     shown        the file holds the document whose hash is wording, published at most a minute
//	                                  after the choice arrived; every purpose decided on is one of its purposes
//	        .wording     carried      a bundle that was published by then names that hash
//	checkpoint           signed,      one noted earlier: same origin and size, same root; smaller, the one of since;
//	                     consistent   or the one the log succeeds
//
// A file proves what an edge recorded and that it has not been changed since. Who the person is follows from the
// personal part: subject is HMAC-SHA256 of the identifier under a secret of the site, cut to 16 bytes.
//
// # Why strings in strings, and a signature over everything
//
// Text inside JSON text is ugly, but what is hashed can be taken out with any JSON tool and fed to sha256sum; objects
// would ask every verifier for a canonical encoder before the first check. The audit paths make the proofs hold; the
// signature over the file binds what they cannot: that these are all proofs of a subject, whose address it was, when
// it was asked for.
//
// # Why x/mod's tlog and note
//
// They are the code behind Go's checksum database: small, without dependencies, in use by every Go installation. The
// tests hold them against github.com/transparency-dev/merkle.
package evidence
