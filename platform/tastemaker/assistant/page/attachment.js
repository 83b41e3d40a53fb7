// The user's own picture: by button, drop or paste, made small here, with what to do about it.

import { toast } from "./dialogs.js";
import { $, make } from "./elements.js";

const MAX_PX = 1024;
let url = null;

/** A file as a JPEG data URL with sides of at most 1024 px; transparent parts become white. */
async function shrink(file) {
  const bitmap = await createImageBitmap(file);
  const scale = Math.min(1, MAX_PX / Math.max(bitmap.width, bitmap.height));
  const canvas = make("canvas", { width: Math.max(1, Math.round(bitmap.width * scale)), height: Math.max(1, Math.round(bitmap.height * scale)) });
  const pen = canvas.getContext("2d");
  pen.fillStyle = "#fff";
  pen.fillRect(0, 0, canvas.width, canvas.height);
  pen.drawImage(bitmap, 0, 0, canvas.width, canvas.height);
  return canvas.toDataURL("image/jpeg", 0.88);
}

function show(picture) {
  url = picture;
  $("attached").hidden = !url;
  if (url) $("preview").src = url;
  else $("preview").removeAttribute("src");
}

/** Takes a picture from a file. */
export async function attach(file) {
  if (!file) return;
  try {
    show(await shrink(file));
    $("question").focus();
    $("status").textContent = "Picture added.";
  } catch {
    toast("That file is not a picture that this browser can read.", { bad: true });
  }
}

export const detach = () => show(null);

/** The picture and what it is for, taken off the form; null where there is none. */
export function takeAttachment() {
  if (!url) return null;
  const taken = { url, room: $("as-room").checked };
  detach();
  $("as-similar").checked = true;
  return taken;
}

export const hasAttachment = () => Boolean(url);

export function beginAttachments() {
  $("attach").addEventListener("click", () => $("picture").click());
  $("picture").addEventListener("change", () => {
    attach($("picture").files[0]);
    $("picture").value = "";
  });
  $("detach").addEventListener("click", () => { detach(); $("question").focus(); });
  addEventListener("paste", (event) => {
    const file = [...event.clipboardData.files].find(({ type }) => type.startsWith("image/"));
    if (!file) return;
    event.preventDefault();
    attach(file);
  });
}
