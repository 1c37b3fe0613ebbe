// Stands for an advertising tag: it runs only once its purpose is consented to.
document.dispatchEvent(new CustomEvent('demo:script', { detail: 'ads' }));
