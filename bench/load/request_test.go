package load

import (
	"testing"
	"time"

	"github.com/google/uuid"
)

func TestUUIDsReadBack(t *testing.T) {
	at := time.UnixMilli(1_790_000_000_123)
	var text [UUIDLen]byte
	hi, lo := V7(at, ^uint64(0), ^uint64(0))
	PutUUID(text[:], hi, lo)
	id, err := uuid.Parse(string(text[:]))
	if err != nil || id.Version() != 7 || id.Variant() != uuid.RFC4122 {
		t.Fatalf("%s: version %v, variant %v, error %v", text, id.Version(), id.Variant(), err)
	}
	if sec, nsec := id.Time().UnixTime(); time.Unix(sec, nsec).UnixMilli() != at.UnixMilli() {
		t.Errorf("%s carries %v, want %v", text, time.Unix(sec, nsec), at)
	}
	hi, lo = V4(0, 0)
	PutUUID(text[:], hi, lo)
	if got, want := string(text[:]), "00000000-0000-4000-8000-000000000000"; got != want {
		t.Errorf("version 4 of nothing is %s, want %s", got, want)
	}
}

func TestBuildWritesARequestOfFixedLength(t *testing.T) {
	got := string(Build("POST", "/x", "127.0.0.1:1", []string{"Origin: https://a.example"}, []byte(`{"id":"#"}`)))
	want := "POST /x HTTP/1.1\r\nHost: 127.0.0.1:1\r\nOrigin: https://a.example\r\nContent-Length: 10\r\n\r\n{\"id\":\"#\"}"
	if got != want {
		t.Errorf("got %q, want %q", got, want)
	}
	if at := Offsets([]byte(got), `"`); len(at) != 4 {
		t.Errorf("found %d quotes, want 4", len(at))
	}
}
