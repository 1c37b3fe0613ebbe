package consent

import (
	"crypto/rand"
	"crypto/sha256"
	"encoding/binary"
	"errors"
	"net/netip"
	"strconv"
	"time"

	"github.com/google/uuid"
)

// Choice is the decision on one purpose.
type Choice struct {
	Purpose string
	Granted bool
}

// Facts is the public part of a proof: never personal, never erased. Its canonical bytes are a leaf of
// the log.
type Facts struct {
	ID         uuid.UUID // UUIDv7 made by the client
	Site       string
	Edge       string // the consentd that recorded it
	RecordedAt Millis
	Logical    uint32 // orders the proofs an edge dated with one millisecond, see Moment; 0: the first, or not the edge's clock
	Surface    string
	Method     Method
	Locale     string // "" when no text was shown
	Country    string // ISO 3166-1 alpha-2, "" unknown
	Device     DeviceClass
	Wording    Hash     // zero when the proof refers to no text (surface api)
	Decisions  []Choice // sorted by purpose, no purpose twice
	Grade      Grade
	Prompt     uuid.UUID // the display that was answered; zero when none was reported
	Follows    uuid.UUID // the proof this one confirms; zero when it stands alone
	Commitment Hash      // SHA-256(salt ‖ canonical personal JSON)
}

// Moment is when the proof was recorded, in the order of its edge.
func (f *Facts) Moment() Moment { return Moment{f.RecordedAt, f.Logical} }

// Salt hides the personal part behind its commitment: without it, a guess cannot be checked.
type Salt [16]byte

// NewSalt draws a random salt.
func NewSalt() Salt {
	var s Salt
	rand.Read(s[:]) // never fails: crypto/rand aborts the program instead (Go 1.24)
	return s
}

// Personal is the part of a proof that names or traces a person. It lives beside the facts and can be
// erased without touching them.
type Personal struct {
	Subject    SubjectKey
	Kind       Kind
	Device     SubjectKey // the device a form was sent from, where linking was allowed; zero when not linked
	IP         netip.Addr // already cut to the site's policy; invalid when none is kept
	UserAgent  string
	Page       string
	Identifier []byte // sealed e-mail or phone, see KeyRing; outside the commitment, because it is sealed again when keys rotate
	Salt       Salt
}

// Proof is one immutable event: who decided what, under which wording, when and from where.
type Proof struct {
	Facts
	Personal Personal
}

// Erase removes the personal part; facts and leaf stay what they are.
func (p *Proof) Erase() { p.Personal = Personal{} }

// Erased reports that the personal part is gone: no proof was ever made without a salt.
func (p *Proof) Erased() bool { return p.Personal.Salt == Salt{} }

// AppendFacts appends the canonical JSON of f (RFC 8785, version 1). A leaf of the log is
// SHA-256(0x00 ‖ these bytes) (RFC 6962 §2.1).
func (f *Facts) AppendFacts(b []byte) []byte {
	b = append(b, `{"commitment":"`...)
	b = AppendHex(b, f.Commitment[:])
	b = append(b, `","country":`...)
	b = AppendJSONString(b, f.Country)
	b = append(b, `,"decisions":`...)
	b = AppendDecisions(b, f.Decisions)
	b = append(b, `,"device":`...)
	b = AppendJSONString(b, string(f.Device))
	b = append(b, `,"edge":`...)
	b = AppendJSONString(b, f.Edge)
	b = append(b, `,"follows":"`...)
	if f.Follows != uuid.Nil {
		b = AppendUUID(b, f.Follows)
	}
	b = append(b, `","grade":"`...)
	b = append(b, f.Grade.String()...)
	b = append(b, `","id":"`...)
	b = AppendUUID(b, f.ID)
	b = append(b, `","locale":`...)
	b = AppendJSONString(b, f.Locale)
	if f.Logical > 0 {
		b = append(b, `,"logical":`...)
		b = strconv.AppendUint(b, uint64(f.Logical), 10)
	}
	b = append(b, `,"method":`...)
	b = AppendJSONString(b, string(f.Method))
	b = append(b, `,"prompt":"`...)
	if f.Prompt != uuid.Nil {
		b = AppendUUID(b, f.Prompt)
	}
	b = append(b, `","recorded_at":`...)
	b = AppendMillis(b, f.RecordedAt)
	b = append(b, `,"site":`...)
	b = AppendJSONString(b, f.Site)
	b = append(b, `,"surface":`...)
	b = AppendJSONString(b, f.Surface)
	b = append(b, `,"type":"consent","v":1,"wording":"`...)
	if !f.Wording.IsZero() {
		b = AppendHex(b, f.Wording[:])
	}
	return append(b, `"}`...)
}

// AppendDecisions appends {"ads":"denied","analytics":"granted"}; decisions must be sorted by purpose.
func AppendDecisions(b []byte, decisions []Choice) []byte {
	b = append(b, '{')
	for i, d := range decisions {
		if i > 0 {
			b = append(b, ',')
		}
		b = AppendJSONString(b, d.Purpose)
		if d.Granted {
			b = append(b, `:"granted"`...)
		} else {
			b = append(b, `:"denied"`...)
		}
	}
	return append(b, '}')
}

// AppendUUID appends the 36 characters of id.
func AppendUUID(b []byte, id uuid.UUID) []byte {
	b = AppendHex(b, id[0:4])
	b = append(b, '-')
	b = AppendHex(b, id[4:6])
	b = append(b, '-')
	b = AppendHex(b, id[6:8])
	b = append(b, '-')
	b = AppendHex(b, id[8:10])
	b = append(b, '-')
	return AppendHex(b, id[10:16])
}

// AppendPersonal appends the canonical JSON of p (RFC 8785, version 1): what the commitment covers.
func (p *Personal) AppendPersonal(b []byte) []byte {
	b = append(b, `{"device":"`...)
	if p.Device != (SubjectKey{}) {
		b = AppendHex(b, p.Device[:])
	}
	b = append(b, `","ip":"`...)
	if p.IP.IsValid() {
		b = p.IP.AppendTo(b)
	}
	b = append(b, `","page":`...)
	b = AppendJSONString(b, p.Page)
	b = append(b, `,"subject":"`...)
	b = AppendHex(b, p.Subject[:])
	b = append(b, `","subject_kind":"`...)
	b = append(b, p.Kind...)
	b = append(b, `","user_agent":`...)
	b = AppendJSONString(b, p.UserAgent)
	return append(b, `,"v":1}`...)
}

// Commit computes SHA-256(salt ‖ canonical personal JSON).
func (p *Personal) Commit() Hash {
	var room [512]byte
	b := append(room[:0], p.Salt[:]...)
	return sha256.Sum256(p.AppendPersonal(b))
}

// Digest is what makes two posts of one proof id "the same": everything the client said, nothing the
// server added (time, IP, user agent, salt) or judged (which device it is linked to, what it follows). First 16
// bytes of a SHA-256 over length-prefixed fields.
func (p *Proof) Digest() [16]byte {
	var room [512]byte
	b := room[:0]
	for _, s := range []string{p.Site, p.Surface, string(p.Method), p.Locale, p.Personal.Page} {
		b = append(binary.AppendUvarint(b, uint64(len(s))), s...)
	}
	b = append(b, p.Personal.Subject[:]...)
	b = append(b, p.Wording[:]...)
	b = append(b, p.Prompt[:]...)
	for _, d := range p.Decisions {
		b = append(binary.AppendUvarint(b, uint64(len(d.Purpose))), d.Purpose...)
		b = strconv.AppendBool(b, d.Granted)
	}
	sum := sha256.Sum256(b)
	return [16]byte(sum[:16])
}

// Errors of CheckProofID.
var (
	ErrNotV7    = errors.New("consent: a proof id is a UUID version 7 (RFC 9562 §5.7)")
	ErrIDFuture = errors.New("consent: the proof id's time lies too far in the future")
)

// MaxSkew is how far a client's clock may run ahead of ours in a proof id. A day forgives a wrong time zone;
// more would let ids be made ahead of time.
const MaxSkew = 24 * time.Hour

// CheckProofID refuses ids that are not version 7, or dated more than MaxSkew after now.
func CheckProofID(id uuid.UUID, now Millis) error {
	if id.Version() != 7 || id.Variant() != uuid.RFC4122 {
		return ErrNotV7
	}
	if IDTime(id) > now+Millis(MaxSkew.Milliseconds()) {
		return ErrIDFuture
	}
	return nil
}

// IDTime reads the time a UUIDv7 carries: what the client's clock said.
func IDTime(id uuid.UUID) Millis {
	var b [8]byte
	copy(b[2:], id[:6])
	return Millis(binary.BigEndian.Uint64(b[:]))
}
