package main

import (
	"crypto"
	"crypto/rand"
	"crypto/sha256"
	"encoding/base64"
	"errors"
	"fmt"
	"maps"
	"net/http"
	"net/url"
	"reflect"
	"slices"
	"strings"
	"sync/atomic"
	"time"

	"github.com/go-jose/go-jose/v4"
	"github.com/go-jose/go-jose/v4/json" // matches names by case, refuses two equal ones
	"github.com/go-jose/go-jose/v4/jwt"
)

const (
	leeway    = 5 * time.Second  // that two clocks may be apart
	proofLife = 60 * time.Second // that a proof is taken after its iat
)

// Claims of a credential: RFC 9068 with RFC 9396, bound to a key (RFC 9449 §6.1).
type Claims struct {
	jwt.Claims
	ClientID string `json:"client_id"`
	Cnf      struct {
		Jkt string `json:"jkt"`
	} `json:"cnf"`
	AuthorizationDetails []struct {
		Permissions []map[string]any `json:"permissions"`
	} `json:"authorization_details"`
}

// Refused is why a request is refused. Code is what the challenge says (RFC 9449 §7.1); empty: nothing was shown.
type Refused struct{ Code, Why string }

func (r *Refused) Error() string { return r.Why }

// Access knows who calls, and what they may do.
type Access struct {
	issuer, baseURL string
	keys            *keySet
	seen            *seenProofs
	// New at each start: a proof made before the start is invalid. So a restart may lose the memory of used proofs.
	nonce atomic.Pointer[string]
}

func openAccess(issuer, baseURL string) (*Access, error) {
	keys, err := openKeys(issuer)
	access := &Access{issuer: issuer, baseURL: baseURL, keys: keys, seen: newSeenProofs()}
	access.Adopt(rand.Text())
	return access, err
}

// Nonce is what the next proof needs.
func (a *Access) Nonce() string { return *a.nonce.Load() }

// Adopt takes over the nonce that the decision point behind this server requires, since a proof has room for one. That takes nothing away
// from us: a proof with it that a memory of ours has lost, the decision point has counted.
func (a *Access) Adopt(nonce string) { a.nonce.Store(&nonce) }

// Claims gives the token's claims once everything holds.
func (a *Access) Claims(r *http.Request) (*Claims, *Refused) {
	authorization, proofs := r.Header.Values("Authorization"), r.Header.Values("DPoP")
	if len(authorization) == 0 && len(proofs) == 0 {
		return nil, &Refused{"", "no credential"}
	}
	if len(authorization) != 1 || len(proofs) != 1 {
		return nil, &Refused{"invalid_token", "one Authorization and one DPoP header are needed"}
	}
	scheme, token, _ := strings.Cut(authorization[0], " ")
	if !strings.EqualFold(scheme, "DPoP") {
		return nil, &Refused{"invalid_token", "a bound token needs the DPoP scheme"}
	}
	claims, err := a.token(token)
	if err != nil {
		return nil, &Refused{"invalid_token", "the token does not hold: " + err.Error()}
	}
	if err := a.proof(proofs[0], r, token, claims.Cnf.Jkt); err != nil {
		if refused, ok := errors.AsType[*Refused](err); ok {
			return nil, refused
		}
		return nil, &Refused{"invalid_dpop_proof", "the proof does not hold: " + err.Error()}
	}
	return claims, nil
}

func (a *Access) token(text string) (*Claims, error) {
	// Exactly these: no crit, and no jku, jwk, x5u or x5c, which would bring a key.
	if err := headerIs(text, "at+jwt", "alg", "kid", "typ"); err != nil {
		return nil, err
	}
	parsed, err := jwt.ParseSigned(text, []jose.SignatureAlgorithm{jose.ES256})
	if err != nil {
		return nil, err
	}
	key, err := a.keys.find(parsed.Headers[0].KeyID)
	if err != nil {
		return nil, err
	}
	var claims Claims
	if err := parsed.Claims(key, &claims); err != nil {
		return nil, err
	}
	// go-jose asks for none of them.
	if claims.Expiry == nil || claims.IssuedAt == nil || claims.ID == "" || claims.Subject == "" || claims.ClientID == "" ||
		claims.Cnf.Jkt == "" || len(claims.AuthorizationDetails) == 0 {
		return nil, errors.New("a claim is missing")
	}
	expected := jwt.Expected{Issuer: a.issuer, AnyAudience: jwt.Audience{a.baseURL}, Time: time.Now()}
	return &claims, claims.ValidateWithLeeway(expected, leeway)
}

// The checks of RFC 9449 §4.3: no library that the Go module proxy here serves has them.
func (a *Access) proof(text string, r *http.Request, token, jkt string) error {
	if err := headerIs(text, "dpop+jwt", "alg", "jwk", "typ", "kid"); err != nil {
		return err
	}
	parsed, err := jwt.ParseSigned(text, []jose.SignatureAlgorithm{jose.ES256, jose.EdDSA})
	if err != nil {
		return err
	}
	jwk := parsed.Headers[0].JSONWebKey
	if jwk == nil || !jwk.Valid() || !jwk.IsPublic() {
		return errors.New("no public key")
	}
	var said struct {
		Htm   string           `json:"htm"`
		Htu   string           `json:"htu"`
		Ath   string           `json:"ath"`
		Jti   string           `json:"jti"`
		Nonce string           `json:"nonce"`
		Iat   *jwt.NumericDate `json:"iat"`
	}
	if err := parsed.Claims(jwk.Key, &said); err != nil {
		return err
	}
	thumbprint, err := jwk.Thumbprint(crypto.SHA256)
	if err != nil {
		return err
	}
	if said.Iat == nil {
		return errors.New("no iat")
	}
	hash := sha256.Sum256([]byte(token))
	mine, theirs := target(a.baseURL+r.URL.EscapedPath()), target(said.Htu)
	switch age := time.Since(said.Iat.Time()); {
	case said.Htm != r.Method || theirs == "" || theirs != mine:
		return errors.New("for another call")
	case said.Ath != encode(hash[:]):
		return errors.New("for another token")
	case encode(thumbprint) != jkt:
		return errors.New("by another key")
	case age < -leeway || age > proofLife+leeway:
		return errors.New("of another time")
	case said.Jti == "" || len(said.Jti) > 256:
		return errors.New("jti")
	case said.Nonce != a.Nonce():
		return &Refused{"use_dpop_nonce", "the proof needs the nonce of this answer"}
	case !a.seen.first(jkt, said.Jti):
		return errors.New("used before")
	}
	return nil
}

// Allows says whether a permission is for this. One that says more (where, uses, a price) is not ours to judge: the decision point counts.
func (c *Claims) Allows(action, kind, id string) bool {
	plain := map[string]any{"actions": []any{action}, "resource": map[string]any{"type": kind, "id": id}}
	for _, details := range c.AuthorizationDetails {
		for _, permission := range details.Permissions {
			if reflect.DeepEqual(permission, plain) {
				return true
			}
		}
	}
	return false
}

// headerIs refuses a JWS unless its three segments are base64url in their one spelling, its typ is this and its members are among these.
func headerIs(text, typ string, members ...string) error {
	segments := strings.Split(text, ".")
	if len(segments) != 3 {
		return errors.New("no JWS")
	}
	for _, segment := range segments {
		// The decoder skips line ends, and without Strict takes unused bits.
		if bytes, err := base64.RawURLEncoding.Strict().DecodeString(segment); err != nil || encode(bytes) != segment {
			return errors.New("spelling")
		}
	}
	bytes, _ := base64.RawURLEncoding.DecodeString(segments[0])
	var header map[string]any
	if err := json.Unmarshal(bytes, &header); err != nil {
		return err
	}
	for name := range maps.Keys(header) {
		if !slices.Contains(members, name) {
			return fmt.Errorf("header member %q", name)
		}
	}
	if header["typ"] != typ {
		return errors.New("typ")
	}
	return nil
}

// target is the URL without query and fragment, scheme and host in lower case, no default port; empty for what is none. A path that is
// written otherwise is another one.
func target(text string) string {
	u, err := url.Parse(text)
	if err != nil || u.User != nil || u.Host == "" {
		return ""
	}
	scheme, host := strings.ToLower(u.Scheme), strings.ToLower(u.Host)
	host = strings.TrimSuffix(host, map[string]string{"http": ":80", "https": ":443"}[scheme])
	return scheme + "://" + host + "/" + strings.TrimPrefix(u.EscapedPath(), "/")
}

func encode(bytes []byte) string { return base64.RawURLEncoding.EncodeToString(bytes) }
