/** Showing something again without touching what stayed the same: focus, selection and scroll keep their place. */

/**
 * Let `container` hold `children`, changing as little of what it holds as possible.
 *
 * Elements with a `data-key` are the same only when that is. An element that had the focus and is gone gives it to the
 * one with its key, or else to the heading of the container, which takes it by `tabindex="-1"`.
 * @param {HTMLElement} container whose listeners hear of events inside; its children have none
 * @param {Node[]} children
 */
export function renew(container, children) {
  const focused = container.contains(document.activeElement) ? document.activeElement : null;
  become(container, children);
  if (!focused || container.contains(focused)) return;
  const again = focused.dataset.key && container.querySelector(`[data-key="${CSS.escape(focused.dataset.key)}"]`);
  (again || container.querySelector('[tabindex="-1"]'))?.focus();
}

function become(element, children) {
  const there = [...element.childNodes];
  children.forEach((child, at) => {
    if (at >= there.length) element.append(child);
    else if (!there[at].isEqualNode(child)) change(there[at], child);
  });
  for (const left of there.slice(children.length)) left.remove();
}

function change(node, other) {
  const element = node.nodeType === Node.ELEMENT_NODE;
  if (node.nodeName !== other.nodeName || (element && node.dataset.key !== other.dataset.key)) {
    node.replaceWith(other);
  } else if (element) {
    for (const { name } of [...node.attributes]) if (!other.hasAttribute(name)) node.removeAttribute(name);
    for (const { name, value } of other.attributes) node.setAttribute(name, value);
    become(node, [...other.childNodes]);
  } else {
    node.data = other.data;
  }
}
