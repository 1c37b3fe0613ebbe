package main

// guard is one line of defence. Text stands in File exactly once; With replaces it.
type guard struct {
	promise    string // what no longer holds without it
	file       string
	text, with string
	pkg, tests string // go test PKG -run '^(TESTS)$'
}

var guards = []guard{
	// The ledger.
	{"nothing is acknowledged before its fsync", "storage/ledger/sequencer.go",
		"if g.batch.Empty() || s.l.opt.noSync {", "if g != nil {",
		"./storage/ledger", "TestNothingIsAnsweredBeforeTheSync|TestPowerCutLosesNothingAcknowledged"},
	{"an id with other content is a conflict, not a success", "storage/ledger/sequencer.go",
		"if known.digest != r.digest {", "if false {",
		"./storage/ledger", "TestSameIDAgain"},
	{"a proof found again gets the answer it had", "storage/ledger/sequencer.go",
		"if found {\n\t\treturn s.replay(r, known)", "if found && r == nil {\n\t\treturn s.replay(r, known)",
		"./storage/ledger", "TestSameIDAgain"},
	{"readers wait until what they read is durable", "storage/ledger/read.go",
		"if edge != l.opt.Edge || seq < l.durable[consent.StreamProofs].Load() {", "if edge != \"\" || seq < l.durable[consent.StreamProofs].Load() {",
		"./storage/ledger", "TestNothingIsAnsweredBeforeTheSync"},
	{"nobody is answered from a state read before the last choice", "storage/ledger/sequencer.go",
		"\ts.forgetHot(g)\n", "",
		"./storage/ledger", "TestReadersNeverSeeAnOldState|TestAppendedProofIsReadBack|TestWithdrawalWinsTheMillisecond"},
	{"a prompt counts once", "storage/ledger/sequencer.go",
		"} else if known {\n\t\t\treturn nil // maybe", "} else if false && known {\n\t\t\treturn nil // maybe",
		"./storage/ledger", "TestPromptsCountOnce"},
	{"a nearly full disk takes no choice", "storage/ledger/append.go",
		"if l.full.Load() && !r.frees {", "if false {",
		"./storage/ledger", "TestNearlyFullDiskRefusesChoicesAndAnswersLookups"},
	{"an erased person is gone from the entries", "storage/ledger/erase.go",
		"\tp.Erase()\n\treturn consent", "\treturn consent",
		"./storage/ledger", "TestAnErasedSubjectLeavesItsFactsAndTheLog"},

	// The drain.
	{"a batch's range is on disk before it is sent", "storage/drain/stream.go",
		"if err := s.save(consent.Cursor{Next: s.cursor.Next, End: end}); err != nil {", "if s.cursor.End = end; false {\n\t\tvar err error",
		"./storage/drain", "TestWhateverTheNetworkDoesEveryProofIsCountedOnce|TestKillingTheEngineLosesNothingAndCountsNothingTwice|TestABatchSentTwiceIsCountedOnce"},
	{"only what is older than the grace period is trimmed", "storage/drain/trim.go",
		"case b.damaged, b.oldest >= limit:", "case b.damaged:",
		"./storage/drain", "TestOnlyShippedAndAgedEntriesAreTrimmed"},

	// The door.
	{"a page of another origin records nothing", "server/admit/steps.go",
		"case !c.Rules.AllowOrigin(c.Origin):", "case false:",
		"./server", "TestAChoiceThatIsWrongIsRefusedWithItsCodeAndNotRecorded"},
	{"a choice without an Origin is not a page's", "server/admit/steps.go",
		"case c.Origin == \"\":\n\t\tc.refuse(\"\", OriginMissing", "case c.Origin == \"none\":\n\t\tc.refuse(\"\", OriginMissing",
		"./server", "TestAChoiceThatIsWrongIsRefusedWithItsCodeAndNotRecorded"},
	{"a method says what its decisions say", "server/admit/steps.go",
		"if d.Granted != granted {", "if d.Granted != granted && c == nil {",
		"./server", "TestAChoiceThatIsWrongIsRefusedWithItsCodeAndNotRecorded"},
	{"a wording nobody published is no wording", "server/admit/shown.go",
		"\t\tc.refuse(\"/wording\", UnknownWording, \"this site has never published a wording with this hash\")\n", "",
		"./server", "TestAChoiceThatIsWrongIsRefusedWithItsCodeAndNotRecorded"},
	{"a purpose nobody asked for is not recorded", "server/admit/shown.go",
		"if !contains(asked, d.Purpose) {", "if false {",
		"./server", "TestAChoiceThatIsWrongIsRefusedWithItsCodeAndNotRecorded"},
	{"a body has a bound", "server/media.go",
		"if len(raw) > limit {", "if false {",
		"./server", "TestAChoiceThatIsWrongIsRefusedWithItsCodeAndNotRecorded"},
	{"a compressed body is not unpacked", "server/media.go",
		"if enc := h.Peek(fasthttp.HeaderContentEncoding); len(enc) > 0 && ", "if enc := h.Peek(fasthttp.HeaderContentEncoding); len(enc) > 1<<20 && ",
		"./server", "TestAChoiceThatIsWrongIsRefusedWithItsCodeAndNotRecorded"},
	{"a client's address is not what it says of itself", "server/clientip.go",
		"if ip = next; !s.trusted(ip) {", "if ip = next; false {",
		"./server", "TestTheClientsAddressIsTheLastOneThatCanBeBelieved"},

	// Tokens, links, keys.
	{"a token is good for its sites and scopes alone", "server/handle.go",
		"if err := claims.Allows(v.site.ID, r.scope); err != nil {", "if err := error(nil); err != nil {",
		"./server", "TestALookupThatIsWrongSaysWhy|TestABatchThatIsWrongSaysWhy"},
	{"a revoked token is refused", "server/token/verify.go",
		"if _, ok := st.revoked[w.ID]; ok {", "if _, ok := st.revoked[w.ID+\"?\"]; ok {",
		"./server/token", "TestARevokedTokenIsRefusedAtOnceAndAfterAReopen"},
	{"a receipt is no token", "server/token/verify.go",
		"if t.Header[\"typ\"] != tokenType {", "if false {",
		"./server/token", "TestAReceiptIsNoToken|TestATokenIsRefused"},
	{"a link is good for one thing", "server/link/link.go",
		"if err != nil || t.Kind != kind {", "if err != nil {",
		"./server/link", "TestWhatWasNotMadeHereIsRefused"},
	{"a link ends", "server/link/link.go",
		"if now >= t.Expires {", "if false {",
		"./server/link", "TestATokenEnds"},
	{"a key that others can read is refused", "server/keyfile/keyfile.go",
		"info.Mode().Perm()&0o077 == 0", "info.Mode().Perm()&0 == 0",
		"./server/keyfile", "TestADirectoryOpenToOthersIsRefused|TestABadFileIsRefusedWithItsReason"},

	// The log.
	{"a log that was set back goes on under a new origin", "storage/evidence/keeper.go",
		"\t\ts.fork(c)\n", "",
		"./storage/evidence", "TestAnOldBackupIsNoticed"},
	{"nothing beyond the checkpoint is shown", "storage/evidence/tiles.go",
		"if t.N > have/tileWidth || t.N*tileWidth+uint64(t.Width) > have {", "if have == 1<<63 {",
		"./storage/evidence", "TestNothingBeyondTheCheckpointIsServed"},
	{"an entry that is not in the log is noticed", "storage/evidence/verify.go",
		"if index < c.Size && tlog.CheckRecord(", "if index < c.Size || tlog.CheckRecord(",
		"./storage/evidence", "TestARefusalNamesThePart|TestBadFiles|TestEveryFlippedByteIsNoticed"},

	// Sites: dark patterns.
	{"the refusing button says that it refuses", "server/site/banner.go",
		"if refuse != \"\" && (refuse == label(", "if refuse == \"?\" && (refuse == label(",
		"./server/site", "TestEachMistakeIsReportedAtItsPlace"},
	{"no purpose is on before anyone touched it", "server/site/purposes.go",
		"\tv.errorf(CodeDefaultOn, path, ", "\tv.warnf(CodeDefaultOn, path, ",
		"./server/site", "TestEachMistakeIsReportedAtItsPlace"},
	{"a choice is kept for 13 months at most", "server/site/validate.go",
		"maxKeep = 395 * day", "maxKeep = 3950 * day",
		"./server/site", "TestEachMistakeIsReportedAtItsPlace"},

	// The layout.
	{"storage does not know the server", "storage/ledger/space.go",
		"import \"time\"\n", "import (\n\t\"time\"\n\n\t_ \"github.com/consentd/consentd/server/keyfile\"\n)\n",
		"./cmd/consentd", "TestImportsFollowTheArrows"},
}
