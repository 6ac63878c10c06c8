// The server takes the program's user.
db.getSiblingDB(process.env.MONGO_DATABASE).auth(process.env.MONGO_USER, process.env.MONGO_PASSWORD);
quit(0);
