package main

import (
	"bytes"
	"io"
	"net/http"
	"os"
	"strings"

	"github.com/go-jose/go-jose/v4/json"
)

// A decision point of Bailiwick, which is asked about one action (AuthZEN Authorization API 1.0) with the caller's credential and proof.
// It verifies both once more, and it alone knows revocations, policies, history and budgets. It counts each proof once for all servers that
// ask it. After a start it requires a nonce of its own, which its answer has in DPoP-Nonce.
type decisionPoint struct{ url, secret string }

func openDecisionPoint(address, secretFile string) (*decisionPoint, error) {
	secret, err := os.ReadFile(secretFile)
	return &decisionPoint{address + "/access/v1/evaluation", strings.TrimSpace(string(secret))}, err
}

// judge gives who calls, and why the call is denied: not at all if that is empty. It asks the decision point if there is one.
func judge(access *Access, decisions *decisionPoint, r *http.Request) (*Claims, string, *Refused) {
	claims, refused := access.Claims(r)
	switch {
	case refused != nil:
		return nil, "", refused
	case decisions == nil && !claims.Allows("tools/call", "tool", "invoices/read"):
		return nil, "action_not_granted", nil
	case decisions == nil:
		return claims, "", nil
	}
	_, token, _ := strings.Cut(r.Header.Get("Authorization"), " ")
	htu := access.baseURL + r.URL.EscapedPath()
	observed := map[string]string{"credential": token, "proof": r.Header.Get("DPoP"), "htm": r.Method, "htu": htu}
	denied, nonce := decisions.decide(claims.ClientID, "tools/call", "tool", "invoices/read", observed)
	if nonce != "" {
		access.Adopt(nonce)
		return nil, "", &Refused{"use_dpop_nonce", "the decision point needs the nonce of this answer"}
	}
	return claims, denied, nil
}

// decide gives why the action is denied, or an empty reason. nonce is not empty if the next proof needs it. An answer that is not a clear
// yes counts as no.
func (d *decisionPoint) decide(subject, action, kind, id string, observed map[string]string) (reason, nonce string) {
	question, err := json.Marshal(map[string]any{
		"subject":  map[string]string{"type": "agent", "id": subject},
		"action":   map[string]string{"name": action},
		"resource": map[string]string{"type": kind, "id": id},
		"context":  map[string]any{"bailiwick": observed, "supported_obligations": []string{}},
	})
	if err != nil {
		return "internal", ""
	}
	request, err := http.NewRequest(http.MethodPost, d.url, bytes.NewReader(question))
	if err != nil {
		return "internal", ""
	}
	request.Header.Set("Content-Type", "application/json")
	request.Header.Set("Authorization", "Bearer "+d.secret)
	answer, err := client.Do(request)
	if err != nil {
		return "pdp_unavailable", ""
	}
	defer answer.Body.Close()
	text, err := io.ReadAll(io.LimitReader(answer.Body, 1<<20))
	var said struct {
		Decision bool `json:"decision"`
		Context  struct {
			Reason string `json:"reason"`
		} `json:"context"`
	}
	if err != nil || answer.StatusCode != http.StatusOK || json.Unmarshal(text, &said) != nil {
		return "pdp_unavailable", ""
	}
	switch {
	case said.Decision:
		return "", ""
	case said.Context.Reason == "":
		return "internal", ""
	}
	return said.Context.Reason, answer.Header.Get("DPoP-Nonce")
}
