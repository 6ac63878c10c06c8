// Command with_users serves the MongoDB protocol from SQLite files to users with passwords, as the image of MongoDB does:
// with_users HOST:PORT FOLDER. MONGO_INITDB_ROOT_USERNAME and MONGO_INITDB_ROOT_PASSWORD name the first user.
//
// FerretDB's package for other programs has no users, so this module is named as one of FerretDB's own.
package main

import (
	"context"
	"log"
	"log/slog"
	"os"
	"os/signal"
	"syscall"
	"time"

	"github.com/FerretDB/FerretDB/internal/clientconn"
	"github.com/FerretDB/FerretDB/internal/clientconn/connmetrics"
	"github.com/FerretDB/FerretDB/internal/handler/registry"
	"github.com/FerretDB/FerretDB/internal/util/password"
	"github.com/FerretDB/FerretDB/internal/util/state"
)

func main() {
	if len(os.Args) != 3 {
		log.Fatal("usage: with_users HOST:PORT FOLDER")
	}
	kept, err := state.NewProvider("")
	if err != nil {
		log.Fatal(err)
	}
	if err := kept.Update(func(s *state.State) { s.DisableTelemetry() }); err != nil {
		log.Fatal(err)
	}
	metrics := connmetrics.NewListenerMetrics()
	handler, closeBackend, err := registry.NewHandler("sqlite", &registry.NewHandlerOpts{
		Logger:        slog.Default(),
		ConnMetrics:   metrics.ConnMetrics,
		StateProvider: kept,
		TCPHost:       os.Args[1],
		SQLiteURL:     "file:" + os.Args[2] + "/",
		SetupDatabase: "admin",
		SetupUsername: os.Getenv("MONGO_INITDB_ROOT_USERNAME"),
		SetupPassword: password.WrapPassword(os.Getenv("MONGO_INITDB_ROOT_PASSWORD")),
		SetupTimeout:  time.Minute,
		TestOpts:      registry.TestOpts{CappedCleanupPercentage: 10, BatchSize: 100, EnableNewAuth: true},
	})
	if err != nil {
		log.Fatal(err)
	}
	defer closeBackend()
	listener, err := clientconn.Listen(&clientconn.NewListenerOpts{
		TCP:     os.Args[1],
		Mode:    clientconn.NormalMode,
		Metrics: metrics,
		Handler: handler,
		Logger:  slog.Default(),
	})
	if err != nil {
		log.Fatal(err)
	}
	ctx, stop := signal.NotifyContext(context.Background(), os.Interrupt, syscall.SIGTERM)
	defer stop()
	listener.Run(ctx)
}
