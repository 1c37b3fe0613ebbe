package consent

// FirstGeneration is the one every log begins with.
const FirstGeneration uint32 = 1

// Place is where an entry stands for ever: its edge, the generation of the edge's log in which it was written, and its
// number in the log. A restored ledger goes on with the numbers of its backup, and others may have been given after
// that backup: so a restore begins a new generation, and no place ever names two entries. Entries that the backup held
// stay of the generation they were written in.
type Place struct {
	Edge       string
	Generation uint32 // from FirstGeneration
	Seq        uint64
}
