package token

import "testing"

func TestTokensWhoseHashesAreEqualAreToldApart(t *testing.T) {
	var c cache
	one, two := &Claims{ID: "one"}, &Claims{ID: "two"}
	c.put(&entry{hash: 7, raw: "one", until: 10, claims: one}, 0)
	if got := c.get(7, "two", 0); got != nil {
		t.Fatalf("another token found %s", got.ID)
	}
	c.put(&entry{hash: 7, raw: "two", until: 10, claims: two}, 0)
	if c.get(7, "one", 0) != one || c.get(7, "two", 0) != two {
		t.Error("a token does not find its own claims")
	}
}

func TestAFullSetOfTheCacheMakesRoom(t *testing.T) {
	var c cache
	for _, raw := range []string{"a", "b", "c", "d", "e"} { // a set holds four
		c.put(&entry{hash: 7, raw: raw, until: 10, claims: &Claims{ID: raw}}, 0)
		if got := c.get(7, raw, 0); got == nil || got.ID != raw {
			t.Errorf("%s is not found after it was put", raw)
		}
	}
	if c.get(7, "e", 10) != nil {
		t.Error("found at the end of its time")
	}
}
