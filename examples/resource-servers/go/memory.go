package main

import (
	"errors"
	"fmt"
	"io"
	"net/http"
	"strings"
	"sync"
	"time"

	"github.com/go-jose/go-jose/v4"
	"github.com/go-jose/go-jose/v4/json"
)

// The issuer's keys: found by its address, which is configured, and by nothing that a token says.
type keySet struct {
	uri         string
	mutex       sync.Mutex
	keys        jose.JSONWebKeySet
	tried, read time.Time
}

func openKeys(issuer string) (*keySet, error) {
	var metadata struct {
		Issuer  string `json:"issuer"`
		JwksURI string `json:"jwks_uri"`
	}
	err := fetch(issuer+"/.well-known/oauth-authorization-server", &metadata)
	if err == nil && metadata.Issuer != issuer {
		err = errors.New("the metadata is another issuer's")
	}
	return &keySet{uri: metadata.JwksURI}, err
}

func (s *keySet) find(kid string) (*jose.JSONWebKey, error) {
	s.mutex.Lock()
	defer s.mutex.Unlock()
	now := time.Now()
	// A minute, so that a key that was withdrawn soon counts no more; and no stranger makes us ask the issuer for each kid.
	if now.Sub(s.read) > time.Minute || (len(s.keys.Key(kid)) == 0 && now.Sub(s.tried) > 10*time.Second) {
		s.tried = now
		var keys jose.JSONWebKeySet
		if fetch(s.uri, &keys) == nil {
			s.keys, s.read = keys, now
		}
	}
	if now.Sub(s.read) > 10*time.Minute {
		return nil, errors.New("the issuer's keys cannot be read")
	}
	if found := s.keys.Key(kid); len(found) == 1 && found[0].Algorithm == string(jose.ES256) {
		return &found[0], nil
	}
	return nil, errors.New("an unknown key")
}

// A redirect would carry a question, with the caller's credential, to another address.
var client = http.Client{
	Timeout:       5 * time.Second,
	CheckRedirect: func(*http.Request, []*http.Request) error { return http.ErrUseLastResponse },
}

func fetch(uri string, into any) error {
	answer, err := client.Get(uri)
	if err != nil {
		return err
	}
	defer answer.Body.Close()
	bytes, err := io.ReadAll(io.LimitReader(answer.Body, 1<<20))
	if err == nil && answer.StatusCode != http.StatusOK {
		err = fmt.Errorf("%s: %s", uri, answer.Status)
	}
	if err != nil {
		return err
	}
	return json.Unmarshal(bytes, into)
}

const mostProofs = 100_000

// Proofs that were used, until they are too old by themselves; by key and jti, never by their text, which can be spelled anew.
type seenProofs struct {
	mutex sync.Mutex
	until map[string]time.Time
}

func newSeenProofs() *seenProofs { return &seenProofs{until: map[string]time.Time{}} }

// first is true once for each proof. A full memory refuses.
func (s *seenProofs) first(jkt, jti string) bool {
	s.mutex.Lock()
	defer s.mutex.Unlock()
	now := time.Now()
	if len(s.until) >= mostProofs {
		for name, until := range s.until {
			if !until.After(now) {
				delete(s.until, name)
			}
		}
	}
	name := strings.Join([]string{jkt, jti}, " ")
	if s.until[name].After(now) || len(s.until) >= mostProofs {
		return false
	}
	s.until[name] = now.Add(proofLife + 2*leeway)
	return true
}
