// Before docker/mongo-init.js, for FerretDB, which has users but no roles.
const databases = Object.getPrototypeOf(db);
const createUser = databases.createUser;
databases.createRole = () => {};
databases.createUser = function (user) {
  return createUser.call(this, { ...user, roles: [] });
};
