package main

import (
	"encoding/json"
	"os"
	"path/filepath"
	"slices"
	"testing"
)

const folder = "../../../test/vectors/signed-events"

type vector struct {
	Desc, Topic, Key, Event string
	Want, WantErr           *string
}

func load(t *testing.T) (*keyRing, []vector) {
	t.Helper()
	trust, err := os.ReadFile(filepath.Join(folder, "trust.json"))
	if err != nil {
		t.Fatal(err)
	}
	ring, err := newKeyRing(trust)
	if err != nil {
		t.Fatal(err)
	}
	text, err := os.ReadFile(filepath.Join(folder, "events.json"))
	if err != nil {
		t.Fatal(err)
	}
	var vectors []vector
	if err := json.Unmarshal(text, &vectors); err != nil {
		t.Fatal(err)
	}
	if len(vectors) < 40 {
		t.Fatalf("only %d vectors", len(vectors))
	}
	return ring, vectors
}

func (v vector) read(ring *keyRing) error {
	if v.Topic == "registry.v1" {
		return ring.readRegistry(v.Key, []byte(v.Event))
	}
	_, err := ring.verify(v.Topic, v.Key, []byte(v.Event))
	return err
}

func code(err error) string {
	if err == nil {
		return ""
	}
	return err.Error()
}

func text(value *string) string {
	if value == nil {
		return ""
	}
	return *value
}

func TestEachEventIsItsProducersWordOrNobodys(t *testing.T) {
	ring, vectors := load(t)
	folded := newDecisions()
	for _, v := range vectors {
		if got := code(v.read(ring)); got != text(v.WantErr) {
			t.Errorf("%s: %q, not %q", v.Desc, got, text(v.WantErr))
		}
		if v.Topic != "decisions.v1" || v.WantErr != nil {
			continue
		}
		event, err := ring.verify(v.Topic, v.Key, []byte(v.Event))
		if err != nil {
			continue
		}
		if line, err := folded.line(event, []byte(v.Event)); err != nil || line != text(v.Want) {
			t.Errorf("%s: %q (%v), not %q", v.Desc, line, err, text(v.Want))
		}
	}
}

func TestAnySingleChangedByteIsNoticed(t *testing.T) {
	ring, vectors := load(t)
	for _, v := range vectors {
		if v.Topic == "registry.v1" {
			_ = v.read(ring)
		}
	}
	at := slices.IndexFunc(vectors, func(v vector) bool { return v.Desc == "a DENY" })
	for n := range vectors[at].Event {
		changed := []byte(vectors[at].Event)
		changed[n] ^= 1
		if _, err := ring.verify("decisions.v1", vectors[at].Key, changed); err == nil {
			t.Errorf("byte %d may be changed", n)
		}
	}
}

func TestWithoutTheRegistryNothingIsBelieved(t *testing.T) {
	ring, vectors := load(t)
	at := slices.IndexFunc(vectors, func(v vector) bool { return v.Want != nil })
	if got := code(vectors[at].read(ring)); got != "key_unknown" {
		t.Errorf("%q", got)
	}
}

func TestUnderAnotherAnchorNothingIsBelieved(t *testing.T) {
	trust, _ := os.ReadFile(filepath.Join(folder, "trust.json"))
	var anchor map[string]any
	if err := json.Unmarshal(trust, &anchor); err != nil {
		t.Fatal(err)
	}
	anchor["root"] = anchor["invitation"]
	trust, _ = json.Marshal(anchor)
	ring, err := newKeyRing(trust)
	if err != nil {
		t.Fatal(err)
	}
	_, vectors := load(t)
	for _, v := range vectors {
		if v.read(ring) == nil {
			t.Errorf("%s: believed", v.Desc)
		}
	}
}

func TestWhatIsSignedButOfNoFormStopsNobody(t *testing.T) {
	for _, data := range []any{object{"action": 5}, object{"actor": "x"}, object{"reason": 1}, object{}, "x"} {
		event := object{"type": "decision.denied", "time": "t", "partitionkey": "p", "id": "evt_00000001", "data": data}
		if _, err := newDecisions().line(event, nil); err == nil {
			t.Errorf("%v has a line", data)
		}
	}
}

func TestMemoryIsBounded(t *testing.T) {
	few := newBounded[int](2)
	for _, name := range []string{"a", "b", "b", "c"} {
		few.put(name, 1)
	}
	if _, ok := few.get("a"); ok || len(few.values) != 2 || len(few.order) != 2 {
		t.Errorf("%v", few)
	}
}
