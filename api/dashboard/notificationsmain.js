/** The beginning of the page of notifications. */

import { NotificationsPage } from "./notificationspage.js";

new NotificationsPage().start();
