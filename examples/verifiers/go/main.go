// Command verify-log reads a log's files (C2SP tlog-tiles), from a folder or an address, and verifies them by Go's own
// implementation of signed notes and tiles, golang.org/x/mod/sumdb: nothing here is Bailiwick's.
//
//	verify-log FOLDER|URL VKEY
//
// Exit status: 0 every entry is what the checkpoint commits to, 1 it is not, 2 it could not run.
package main

import (
	"encoding/binary"
	"errors"
	"fmt"
	"io"
	"io/fs"
	"net/http"
	"os"
	"path/filepath"
	"strconv"
	"strings"

	"golang.org/x/mod/sumdb/note"
	"golang.org/x/mod/sumdb/tlog"
)

const (
	height = 8
	width  = 1 << height
)

func main() {
	if len(os.Args) != 3 {
		fmt.Fprintln(os.Stderr, "usage: verify-log FOLDER|URL VKEY")
		os.Exit(2)
	}
	verifier, err := note.NewVerifier(os.Args[2])
	if err != nil {
		fmt.Fprintln(os.Stderr, "verify-log:", err)
		os.Exit(2)
	}
	size, err := verify(source(strings.TrimSuffix(os.Args[1], "/")), verifier)
	if err != nil {
		fmt.Println("BAD", err)
		os.Exit(1)
	}
	fmt.Printf("OK %d entries of %s\n", size, verifier.Name())
}

func verify(from source, verifier note.Verifier) (int64, error) {
	signed, err := from.read("checkpoint")
	if err != nil {
		return 0, err
	}
	opened, err := note.Open(signed, note.VerifierList(verifier))
	if err != nil {
		return 0, fmt.Errorf("checkpoint: %w", err)
	}
	tree, err := parseCheckpoint(opened.Text, verifier.Name())
	if err != nil {
		return 0, err
	}
	// Every hash that it gives is proved by the tiles above it to be in the tree.
	proved := tlog.TileHashReader(tree, from)
	for begin := int64(0); begin < tree.N; begin += width {
		bundle := tlog.Tile{H: height, L: -1, N: begin / width, W: int(min(width, tree.N-begin))}
		if err := verifyBundle(from, bundle, proved); err != nil {
			return 0, err
		}
	}
	return tree.N, nil
}

func parseCheckpoint(text, origin string) (tlog.Tree, error) {
	lines := strings.Split(text, "\n")
	if len(lines) < 4 || lines[0] != origin {
		return tlog.Tree{}, errors.New("checkpoint: of another log, or none")
	}
	size, err := strconv.ParseInt(lines[1], 10, 64)
	if err != nil {
		return tlog.Tree{}, fmt.Errorf("checkpoint: %w", err)
	}
	root, err := tlog.ParseHash(lines[2])
	return tlog.Tree{N: size, Hash: root}, err
}

func verifyBundle(from source, bundle tlog.Tile, proved tlog.HashReader) error {
	bytes, err := from.tile(bundle)
	if err != nil {
		return err
	}
	indexes := make([]int64, bundle.W)
	for at := range indexes {
		indexes[at] = tlog.StoredHashIndex(0, bundle.N*width+int64(at))
	}
	hashes, err := proved.ReadHashes(indexes)
	if err != nil {
		return err
	}
	for at, hash := range hashes {
		if len(bytes) < 2 || len(bytes) < 2+int(binary.BigEndian.Uint16(bytes)) {
			return fmt.Errorf("%s: cut off", pathOf(bundle))
		}
		end := 2 + int(binary.BigEndian.Uint16(bytes))
		if tlog.RecordHash(bytes[2:end]) != hash {
			return fmt.Errorf("%s: entry %d is not what the checkpoint commits to", pathOf(bundle), bundle.N*width+int64(at))
		}
		bytes = bytes[end:]
	}
	return nil
}

// source is a folder or an address. Nothing that it gives is believed.
type source string

func (s source) Height() int { return height }

func (s source) SaveTiles([]tlog.Tile, [][]byte) {}

func (s source) ReadTiles(tiles []tlog.Tile) ([][]byte, error) {
	data := make([][]byte, len(tiles))
	for n, tile := range tiles {
		bytes, err := s.tile(tile)
		if err != nil {
			return nil, err
		}
		data[n] = bytes[:min(len(bytes), tile.W*tlog.HashSize)]
	}
	return data, nil
}

// tile gives the full one where a partial one has been outgrown.
func (s source) tile(tile tlog.Tile) ([]byte, error) {
	bytes, err := s.read(pathOf(tile))
	if errors.Is(err, fs.ErrNotExist) && tile.W < width {
		tile.W = width
		return s.read(pathOf(tile))
	}
	return bytes, err
}

func (s source) read(path string) ([]byte, error) {
	if !strings.HasPrefix(string(s), "http://") && !strings.HasPrefix(string(s), "https://") {
		return os.ReadFile(filepath.Join(string(s), path))
	}
	answer, err := http.Get(string(s) + "/" + path)
	if err != nil {
		return nil, err
	}
	defer answer.Body.Close()
	if answer.StatusCode == http.StatusNotFound {
		return nil, fmt.Errorf("%s: %w", path, fs.ErrNotExist)
	}
	if answer.StatusCode != http.StatusOK {
		return nil, fmt.Errorf("%s: %s", path, answer.Status)
	}
	return io.ReadAll(io.LimitReader(answer.Body, 1<<25))
}

// pathOf is the tile's path by C2SP, which names no height and calls entries so.
func pathOf(tile tlog.Tile) string {
	path := strings.TrimPrefix(tile.Path(), fmt.Sprintf("tile/%d/", height))
	return "tile/" + strings.Replace(path, "data/", "entries/", 1)
}
