package main

import (
	"crypto/ecdsa"
	"crypto/elliptic"
	"crypto/sha256"
	"errors"
	"fmt"
	"math/big"
	"regexp"
	"slices"
	"strings"
)

// refused says why an event does not count: a code of docs/reference/errors.md.
type refused string

func (code refused) Error() string { return string(code) }

const maxEventBytes = 65_535

// Without a quote or backslash between, these three strings can only be the last member of the outermost object.
var tail = regexp.MustCompile(`,"jws":"([A-Za-z0-9_-]{1,400})\.\.([A-Za-z0-9_-]{86})"\}\z`)
var timeForm = regexp.MustCompile(`\A\d{4}-\d\d-\d\dT\d\d:\d\d:\d\d\.\d{3}Z\z`)

var serviceOf = map[string]string{
	"credential":     "issuer",
	"issuer-event":   "issuer",
	"approval-event": "approval",
	"notification":   "approval",
	"pdp-event":      "policy-decision",
	"permit":         "policy-decision",
	"binding-token":  "policy-decision",
	"evidence-event": "evidence",
}

var typesOf = map[string]*regexp.Regexp{
	"registry.v1":  regexp.MustCompile(`\A(service-key|agent|approver|rule|tool-server|enforcement-point|auditor|recovery|policy-set)\.(registered|changed|retired)\z`),
	"decisions.v1": regexp.MustCompile(`\A(decision\.(allowed|denied|abandoned)|outcome\.(reported|missing)|denials\.summarised)\z`),
}

type key struct {
	service, purpose    string
	topics              []string
	public              *ecdsa.PublicKey
	notBefore, notAfter string // times of this one form order as text
}

// keyRing holds the keys that this reader believes.
//
// Trust starts at one key: the root's, in trust.json, which you got by a way that you trust and not from the broker. The
// root certifies services' keys; the certificates stand in registry.v1; and every event on decisions.v1 carries a
// signature by such a key. So the broker, and anyone who can write to it, can hold events back but not make one up.
type keyRing struct {
	installation, rootID string
	root                 *ecdsa.PublicKey
	keys                 map[string]key
}

func newKeyRing(trust []byte) (*keyRing, error) {
	anchor, err := strictJSON(trust)
	if err != nil {
		return nil, fmt.Errorf("trust.json: %w", err)
	}
	members, _ := anchor.(object)
	installation, _ := textAt(members, "installation")
	root, _ := members["root"].(object)
	public, id := publicKey(root["jwk"])
	if fmt.Sprint(members["v"]) != "1" || installation == "" || public == nil {
		return nil, errors.New("trust.json: not one that this program understands")
	}
	return &keyRing{installation, id, public, map[string]key{}}, nil
}

// readRegistry folds one event of registry.v1; they come in order, from the topic's start.
func (ring *keyRing) readRegistry(recordKey string, event []byte) error {
	said, err := openEvent("registry.v1", recordKey, event)
	if err != nil {
		return err
	}
	name, _ := textAt(said, "type")
	if name == "service-key.registered" || name == "service-key.changed" {
		// The certificate first: an issuer's own key comes in an event that it signs itself.
		certificate, ok := textAt(said, "data", "value", "certificate")
		if !ok {
			return refused("event_malformed")
		}
		ring.certify(certificate)
	}
	if err := ring.verifySignature("registry.v1", said, event); err != nil {
		return err
	}
	if name == "service-key.retired" {
		// Approvers authorised it; this reader takes the issuer's word, which can only make it believe less.
		id, ok := textAt(said, "data", "entity", "id")
		if !ok {
			return refused("event_malformed")
		}
		if known, ok := ring.keys[id]; ok {
			at, _ := textAt(said, "time")
			known.notAfter = min(known.notAfter, at)
			ring.keys[id] = known
		}
	}
	return nil
}

// verify gives the event if a key that the root certified for this topic, valid at its time, signed these bytes.
func (ring *keyRing) verify(topic, recordKey string, event []byte) (object, error) {
	said, err := openEvent(topic, recordKey, event)
	if err != nil {
		return nil, err
	}
	return said, ring.verifySignature(topic, said, event)
}

func openEvent(topic, recordKey string, event []byte) (object, error) {
	if len(event) > maxEventBytes {
		return nil, refused("event_too_large")
	}
	value, err := strictJSON(event)
	if err != nil {
		return nil, err
	}
	said, _ := value.(object)
	if _, ok := said["data"].(object); !ok {
		return nil, refused("event_malformed")
	}
	for _, name := range []string{"id", "source", "type", "time", "partitionkey"} {
		if _, ok := textAt(said, name); !ok {
			return nil, refused("event_malformed")
		}
	}
	if at, _ := textAt(said, "time"); !timeForm.MatchString(at) {
		return nil, refused("event_malformed")
	}
	if name, _ := textAt(said, "type"); !typesOf[topic].MatchString(name) {
		return nil, refused("event_type_unknown")
	}
	if place, _ := textAt(said, "partitionkey"); place != recordKey {
		return nil, refused("event_malformed")
	}
	return said, nil
}

func (ring *keyRing) verifySignature(topic string, said object, event []byte) error {
	at := tail.FindSubmatchIndex(event)
	if at == nil {
		return refused("event_malformed")
	}
	segment := string(event[at[2]:at[3]])
	signature, ok := base64url(string(event[at[4]:at[5]]))
	header := objectIn(segment)
	id, named := textAt(header, "kid")
	if !ok || !named {
		return refused("event_malformed")
	}
	known, ok := ring.keys[id]
	if !ok {
		return refused("key_unknown")
	}
	if !strings.HasSuffix(known.purpose, "-event") || !slices.Contains(known.topics, topic) {
		return refused("key_purpose_wrong")
	}
	if when, _ := textAt(said, "time"); when < known.notBefore || when >= known.notAfter {
		return refused("token_expired")
	}
	if !isHeader(header, id, "bailiwick-event+jws") {
		return refused("token_malformed")
	}
	unsigned := append(slices.Clone(event[:at[0]]), '}')
	if !signedBy(known.public, segment+"."+toBase64url(unsigned), signature) {
		return refused("signature_invalid")
	}
	if source, _ := textAt(said, "source"); !strings.HasPrefix(source, "/"+known.service+"/") {
		return refused("key_purpose_wrong")
	}
	return nil
}

// certify takes a key that the root certified. One that is known already can only become narrower.
func (ring *keyRing) certify(certificate string) {
	id, fresh := ring.certified(certificate)
	if fresh == nil {
		return
	}
	if known, ok := ring.keys[id]; ok {
		within := fresh.purpose == known.purpose && known.notBefore <= fresh.notBefore && fresh.notAfter <= known.notAfter
		for _, topic := range fresh.topics {
			within = within && slices.Contains(known.topics, topic)
		}
		if !within {
			return
		}
	}
	ring.keys[id] = *fresh
}

func (ring *keyRing) certified(certificate string) (string, *key) {
	parts := strings.Split(certificate, ".")
	if len(parts) != 3 {
		return "", nil
	}
	header, said := objectIn(parts[0]), objectIn(parts[1])
	signature, ok := base64url(parts[2])
	if !ok || !isHeader(header, ring.rootID, "bailiwick-key+jws") || !signedBy(ring.root, parts[0]+"."+parts[1], signature) {
		return "", nil
	}
	// From here on the root's own words; still, only what is understood in full is believed.
	if len(said) != 8 {
		return "", nil
	}
	texts := map[string]string{}
	for _, name := range []string{"installation", "kid", "purpose", "service", "not_before", "not_after"} {
		if texts[name], ok = textAt(said, name); !ok {
			return "", nil
		}
	}
	list, ok := said["topics"].([]any)
	topics := make([]string, 0, len(list))
	for _, topic := range list {
		name, isText := topic.(string)
		ok = ok && isText
		topics = append(topics, name)
	}
	public, id := publicKey(said["jwk"])
	from, until := texts["not_before"], texts["not_after"]
	if !ok || public == nil || texts["kid"] != id || texts["installation"] != ring.installation ||
		serviceOf[texts["purpose"]] != texts["service"] ||
		!timeForm.MatchString(from) || !timeForm.MatchString(until) || from >= until {
		return "", nil
	}
	return id, &key{texts["service"], texts["purpose"], topics, public, from, until}
}

// isHeader: what would choose another algorithm, or bring a key, is never followed. The header only repeats what we know.
func isHeader(header object, kid, typ string) bool {
	return len(header) == 3 && header["alg"] == "ES256" && header["kid"] == kid && header["typ"] == typ
}

// publicKey reads a P-256 key (RFC 7517), and names it by its thumbprint (RFC 7638). A point off the curve is no key.
func publicKey(jwk any) (*ecdsa.PublicKey, string) {
	members, _ := jwk.(object)
	textX, _ := textAt(members, "x")
	textY, _ := textAt(members, "y")
	x, okX := base64url(textX)
	y, okY := base64url(textY)
	if members["kty"] != "EC" || members["crv"] != "P-256" || !okX || !okY || len(x) != 32 || len(y) != 32 {
		return nil, ""
	}
	public, err := ecdsa.ParseUncompressedPublicKey(elliptic.P256(), slices.Concat([]byte{4}, x, y))
	if err != nil {
		return nil, ""
	}
	digest := sha256.Sum256([]byte(`{"crv":"P-256","kty":"EC","x":"` + textX + `","y":"` + textY + `"}`))
	return public, toBase64url(digest[:])
}

// signedBy: ES256 (RFC 7518 §3.4), r and s of 32 bytes each over SHA-256.
func signedBy(public *ecdsa.PublicKey, data string, signature []byte) bool {
	if len(signature) != 64 {
		return false
	}
	digest := sha256.Sum256([]byte(data))
	return ecdsa.Verify(public, digest[:], new(big.Int).SetBytes(signature[:32]), new(big.Int).SetBytes(signature[32:]))
}
