// A resource server: GET /invoices/<id>, for an agent that shows a Bailiwick credential to read invoices, and its proof.
// With -decision-point it asks that about each call; else it judges by the credential alone.
package main

import (
	"encoding/json"
	"flag"
	"fmt"
	"net"
	"net/http"
	"net/url"
	"os"
	"time"
)

func main() {
	issuer := flag.String("issuer", "", "the issuer's address, as tokens have it in iss")
	baseURL := flag.String("base-url", "", "this server's own address, as the registry has it; aud and htu are compared with it")
	address := flag.String("decision-point", "", "the address of a decision point to ask about each call")
	secretFile := flag.String("secret-file", "", "with -decision-point: a file with this server's secret there (bearer_sha256 in the registry)")
	flag.Parse()
	access, err := openAccess(*issuer, *baseURL)
	var decisions *decisionPoint
	if err == nil && *address != "" {
		decisions, err = openDecisionPoint(*address, *secretFile)
	}
	if err == nil {
		err = serve(access, decisions)
	}
	fmt.Fprintln(os.Stderr, err)
	os.Exit(2)
}

func serve(access *Access, decisions *decisionPoint) error {
	at, err := url.Parse(access.baseURL)
	if err != nil {
		return err
	}
	listener, err := net.Listen("tcp", "localhost:"+at.Port())
	if err != nil {
		return err
	}
	fmt.Fprintln(os.Stderr, "ready")
	mux := http.NewServeMux()
	mux.HandleFunc("GET /invoices/{id}", func(w http.ResponseWriter, r *http.Request) {
		claims, denied, refused := judge(access, decisions, r)
		if refused != nil {
			challenge := `DPoP algs="ES256 EdDSA"`
			if refused.Code != "" {
				challenge = fmt.Sprintf(`DPoP error=%q, algs="ES256 EdDSA"`, refused.Code)
			}
			w.Header().Set("WWW-Authenticate", challenge)
			w.Header().Set("DPoP-Nonce", access.Nonce())
			answer(w, http.StatusUnauthorized, map[string]string{"error": refused.Code})
			return
		}
		if denied != "" {
			answer(w, http.StatusForbidden, map[string]string{"error": denied})
			return
		}
		answer(w, http.StatusOK, map[string]string{"invoice": r.PathValue("id"), "agent": claims.ClientID})
	})
	server := http.Server{Handler: mux, ReadHeaderTimeout: 5 * time.Second}
	return server.Serve(listener)
}

func answer(w http.ResponseWriter, status int, body map[string]string) {
	w.Header().Set("Content-Type", "application/json")
	w.Header().Set("Cache-Control", "no-store")
	w.WriteHeader(status)
	_ = json.NewEncoder(w).Encode(body)
}
