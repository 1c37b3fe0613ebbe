package consent

import (
	"bytes"
	"crypto/sha256"
	"encoding/hex"
	"encoding/json"
	"flag"
	"net/netip"
	"os"
	"slices"
	"testing"

	"github.com/google/uuid"
)

// update rewrites testdata/vectors.json; a change there is a change of format, and breaks whoever tests
// against it.
var update = flag.Bool("update", false, "rewrite testdata/vectors.json")

// vectors is the file other languages test against: inputs and the exact bytes and hashes they must give.
type vectors struct {
	Comment  string          `json:"comment"`
	Subjects []subjectVector `json:"subjects"`
	Wordings []wordingVector `json:"wordings"`
	Proofs   []proofVector   `json:"proofs"`
}

type subjectVector struct {
	SecretHex  string `json:"secret_hex"`
	Kind       Kind   `json:"kind"`
	Input      string `json:"input"`
	Region     string `json:"region"`
	Normalised string `json:"normalised"`
	Key        string `json:"key"`
}

type wordingVector struct {
	Document  Wording `json:"document"`
	Canonical string  `json:"canonical"`
	Hash      string  `json:"hash"`
}

type proofVector struct {
	Personal   string `json:"personal_canonical"`
	SaltHex    string `json:"salt_hex"`
	Commitment string `json:"commitment"`
	Facts      string `json:"facts_canonical"`
	Leaf       string `json:"leaf"`
}

func TestGoldenVectors(t *testing.T) {
	got := makeVectors(t)
	var buf bytes.Buffer
	enc := json.NewEncoder(&buf)
	enc.SetEscapeHTML(false)
	enc.SetIndent("", "  ")
	if err := enc.Encode(got); err != nil {
		t.Fatal(err)
	}
	const file = "testdata/vectors.json"
	if *update {
		if err := os.WriteFile(file, buf.Bytes(), 0o644); err != nil {
			t.Fatal(err)
		}
	}
	want, err := os.ReadFile(file)
	if err != nil {
		t.Fatal(err)
	}
	if !bytes.Equal(buf.Bytes(), want) {
		t.Errorf("the formats have changed; what is stored and published no longer verifies\n%s", buf.Bytes())
	}
}

func makeVectors(t *testing.T) vectors {
	secret := bytes.Repeat([]byte("secret-32"), 4)[:32]
	keyer, err := NewKeyer(secret)
	if err != nil {
		t.Fatal(err)
	}
	v := vectors{Comment: "Subject keys: first 16 bytes of HMAC-SHA256(secret, kind 0x00 normalised). Hashes: SHA-256 over RFC 8785 bytes. Commitment: SHA-256(salt, personal). Leaf: SHA-256(0x00, facts)."}
	for _, in := range []struct {
		kind          Kind
		value, region string
	}{
		{KindDevice, "8D0F0000-0000-4000-8000-00000000002A", ""}, {KindEmail, " Jean.Dupont@Bücher.Example ", ""},
		{KindPhone, "06 12 34 56 78", "FR"}, {KindExternal, "Customer-42", ""},
	} {
		s, err := ParseSubject(in.kind, in.value, in.region)
		if err != nil {
			t.Fatal(err)
		}
		v.Subjects = append(v.Subjects, subjectVector{hex.EncodeToString(secret), in.kind, in.value, in.region, s.Value, keyer.Key(s).String()})
	}
	site := testSite()
	published, err := site.Wordings()
	if err != nil {
		t.Fatal(err)
	}
	for _, p := range published {
		v.Wordings = append(v.Wordings, wordingVector{p.Wording, string(p.Doc), p.Hash.String()})
	}
	for _, p := range testProofs(published[0].Hash, keyer) {
		facts := p.AppendFacts(nil)
		leaf := sha256.Sum256(append([]byte{0}, facts...))
		v.Proofs = append(v.Proofs, proofVector{string(p.Personal.AppendPersonal(nil)), hex.EncodeToString(p.Personal.Salt[:]), p.Commitment.String(), string(facts), hex.EncodeToString(leaf[:])})
	}
	return v
}

func testSite() *Site {
	both := func(fr, en string) Text { return Text{"fr": fr, "en": en} }
	return &Site{
		ID: "demo", Locales: []string{"fr", "en"}, Revision: 1, Controller: Controller{Name: "Boutique Démo SAS", Contact: "dpo@shop.example"},
		Purposes: []Purpose{
			{ID: "necessary", Basis: BasisLegitimateInterest, Title: both("Nécessaires", "Necessary"), Text: both("Font marcher le site.", "Make the site work.")},
			{ID: "analytics", Basis: BasisConsent, Title: both("Mesure d’audience", "Audience measurement"), Text: both("Compter les visites.", "Counting visits."),
				Services: []Service{{Name: "Matomo", Policy: "https://matomo.example/privacy", Cookies: []Cookie{{"_pk_id*", both("13 mois", "13 months")}}},
					{ID: "film", Name: "Film", Provider: "Film Ltd", Embed: true}}},
			{ID: "security", Basis: BasisLegitimateInterest, Objection: true, Title: both("Sécurité", "Security"), Text: both("Détecter \"la fraude\" < 1 %.", "Detect \"fraud\" < 1 %.")},
		},
		Banner: BannerText{
			Title: both("Vos choix 🍪", "Your choices 🍪"), Text: both("Ligne 1\nLigne 2", "Line 1\nLine 2"),
			Accept: both("Tout accepter", "Accept all"), Refuse: both("Tout refuser", "Refuse all"), Choose: both("Choisir", "Choose"), Save: both("Enregistrer", "Save"),
			Back: both("Retour", "Back"), Necessary: both("Toujours actif", "Always on"),
			PreferencesTitle: both("Préférences", "Preferences"), PreferencesText: both("Par finalité.", "Per purpose."),
			Continue: both("Continuer sans accepter", "Continue without accepting"), Bases: map[Basis]Text{BasisConsent: both("Base légale : consentement", "Legal basis: consent")},
			EmbedText: both("Ce contenu vient de {service}.", "This content comes from {service}."), EmbedOnce: both("Une fois", "Once"), EmbedAlways: both("Toujours", "Always"),
			PolicyText: both("Confidentialité", "Privacy"), PolicyHref: both("https://shop.example/fr/", "https://shop.example/en/"),
		},
	}
}

func testProofs(w Hash, keyer *Keyer) []*Proof {
	banner := &Proof{Facts: Facts{
		ID: uuid.MustParse("019aa7d0-0000-7000-8000-00000000002a"), Site: "demo", Edge: "e1", RecordedAt: 1_795_291_560_007, Surface: SurfaceBanner,
		Method: MethodCustom, Locale: "fr", Country: "FR", Device: DeviceMobile, Wording: w, Grade: GradeProven, Prompt: uuid.MustParse("019aa7d0-0000-7000-8000-000000000001"),
		Decisions: []Choice{{"analytics", true}, {"security", false}},
	}}
	banner.Personal = Personal{Subject: keyer.Key(Subject{KindDevice, "8d0f0000-0000-4000-8000-00000000002a"}), Kind: KindDevice,
		IP: netip.MustParseAddr("2001:db8::7"), UserAgent: "Mozilla/5.0 \"x\"", Page: "https://shop.example/é", Salt: Salt{1, 15: 2}}
	api := &Proof{Facts: Facts{
		ID: uuid.MustParse("019aa7d0-0000-7000-8000-00000000002b"), Site: "demo", Edge: "e1", RecordedAt: 1_795_291_560_007, Logical: 3, Surface: SurfaceAPI,
		Method: MethodAcceptAll, Device: DeviceServer, Grade: GradeAsserted, Decisions: []Choice{{"analytics", true}},
	}}
	api.Personal = Personal{Subject: keyer.Key(Subject{KindEmail, "a@b.example"}), Kind: KindEmail, Salt: Salt{3}}
	confirm := &Proof{Facts: Facts{
		ID: uuid.MustParse("019aa7d0-0000-7000-8000-00000000002d"), Site: "demo", Edge: "e1", RecordedAt: 1_795_291_620_000, Surface: SurfaceForm("news"),
		Method: MethodConfirm, Locale: "fr", Country: "FR", Device: DeviceMobile, Wording: w, Grade: GradeVerified,
		Follows: uuid.MustParse("019aa7d0-0000-7000-8000-00000000002c"), Decisions: []Choice{{"newsletter", true}},
	}}
	confirm.Personal = Personal{Subject: keyer.Key(Subject{KindEmail, "a@b.example"}), Kind: KindEmail,
		Device: keyer.Key(Subject{KindDevice, "8d0f0000-0000-4000-8000-00000000002a"}), Salt: Salt{4}}
	for _, p := range []*Proof{banner, api, confirm} {
		p.Commitment = p.Personal.Commit()
	}
	return []*Proof{banner, api, confirm}
}

func TestWordingsReadBackAndRefuseStrangers(t *testing.T) {
	published, err := testSite().Wordings()
	if err != nil {
		t.Fatal(err)
	}
	if len(published) != 6 {
		t.Fatalf("%d wordings, want banner, preferences and one placeholder in two locales", len(published))
	}
	for _, p := range published {
		w, err := ParseWording(p.Doc)
		if err != nil {
			t.Fatal(err)
		}
		again, err := w.Publish()
		if err != nil || again.Hash != p.Hash {
			t.Errorf("read back and published again: %v %v, want %v", again.Hash, err, p.Hash)
		}
		want := []string{"analytics", "security"}
		if IsEmbed(p.Surface) {
			want = want[:1]
		}
		if got := p.Asked(); !slices.Equal(got, want) {
			t.Errorf("asked: %v", got)
		}
	}
	for _, bad := range []string{`{"v":2}`, `{"v":1,"more":1}`, `{`} {
		if _, err := ParseWording([]byte(bad)); err == nil {
			t.Errorf("%s was taken", bad)
		}
	}
}
